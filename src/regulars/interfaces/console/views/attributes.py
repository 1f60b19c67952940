"""Attributes: how they and their values are called, on pages of staff and, in every language, on those of customers."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_safe

from regulars.base.errors import DomainError
from regulars.base.text import distinct_lines
from regulars.profiles.attributes import AttributeWords, Words, languages_without, reword_attribute
from regulars.profiles.models import Attribute
from regulars.questions.form import language_name

from ..edits import FormContent, editing
from ..forms import FormError, form_error, form_page
from ..pages import done, show, staff_page

ROLE = "admin"
HOME = "/console/privacy/attributes"


@require_safe
@staff_page(read="marketer")
def attributes(request: HttpRequest) -> HttpResponse:
    found = Attribute.objects.order_by("label", "key")
    rows = [(each, [language_name(code) for code in languages_without(each)]) for each in found]
    return show(request, "console/attributes.html", {"rows": rows})


@require_http_methods(["GET", "POST"])
@staff_page(read="marketer", write="admin")
def attribute(request: HttpRequest, key: str) -> HttpResponse:
    found = Attribute.objects.filter(key=key).first()
    if found is None:
        raise Http404("There is no such attribute.")
    if request.method == "GET":
        return _page(request, found, _fields_of(found))
    typed = {name: str(value).strip() for name, value in request.POST.items()}
    try:
        with editing(request, found, _shown) as row:
            reword_attribute(key, AttributeWords(typed.get("label", ""), _translations(row, typed)))
            return done(request, HOME, "attribute.changed", key, "Saved. Customers read it from now on.")
    except DomainError as error:
        return _page(request, found, typed, form_error(error))


def _shown(found: Attribute) -> FormContent:
    return FormContent(found.key, ("attribute.changed",), _fields_of(found))


def _languages(found: Attribute) -> list[str]:
    """Return the languages of the form: those of the pages, each as this attribute has it, and others that it has."""
    written = {each.lower(): each for each in found.translations}
    codes = [code for code, _ in settings.LANGUAGES]
    short = {code: written.get(code) or written.get(code.partition("-")[0]) or code for code in codes}
    return [*short.values(), *(each for each in found.translations if each not in short.values())]


def _fields_of(found: Attribute) -> dict[str, str]:
    fields = {"label": found.label}
    for language in _languages(found):
        words = found.translations.get(language, {})
        fields[f"{language}.label"] = words.get("label", "")
        labels = words.get("options", {})
        fields[f"{language}.options"] = "\n".join(
            f"{each['key']} = {labels.get(each['key'], '')}" for each in found.options
        )
    return fields


def _translations(found: Attribute, typed: Mapping[str, str]) -> dict[str, Words]:
    """Read the labels of every language. A line without a label is one that is still missing."""
    translations: dict[str, Words] = {}
    for language in _languages(found):
        words: Words = {}
        if label := typed.get(f"{language}.label", ""):
            words["label"] = label
        pairs = [line.partition("=")[::2] for line in distinct_lines(typed.get(f"{language}.options", ""))]
        if options := {key.strip(): text.strip() for key, text in pairs if text.strip()}:
            words["options"] = options
        translations[language] = words
    return translations


def _page(
    request: HttpRequest, found: Attribute, typed: Mapping[str, str], problem: FormError | None = None
) -> HttpResponse:
    languages = [
        {
            "name": language_name(language),
            "lang": language,
            "label": f"{language}.label",
            "label_value": typed.get(f"{language}.label", ""),
            "options": f"{language}.options",
            "options_value": typed.get(f"{language}.options", ""),
        }
        for language in _languages(found)
    ]
    context = {"attribute": found, "label": typed.get("label", ""), "languages": languages}
    edits = _shown(found)
    return form_page(request, "console/attribute.html", context, role=ROLE, problem=problem, edits=edits)
