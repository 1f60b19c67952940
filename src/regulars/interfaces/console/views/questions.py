"""Questions: the list with its statistics, and the form of a question with its preview."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from regulars.base.errors import DomainError, Invalid
from regulars.consent.models import Purpose
from regulars.profiles.models import Attribute
from regulars.questions.form import (
    EMPTY,
    fields_of,
    numbered_blocks,
    preview_form,
    question_languages,
    read_draft,
    remove_translation,
    translation_blocks,
)
from regulars.questions.models import Question
from regulars.questions.question_type import TYPES
from regulars.questions.save import save_question, switch_question
from regulars.questions.settings import get_question_settings
from regulars.questions.statistics import question_stats, segments_using, stats_by_question

from ..edits import FormContent, creating, editing
from ..forms import FormError, form_error, form_page
from ..pages import NO_ROLE, done, may, staff_page

ROLE = "marketer"
INPUTS = {"unknown_plugin": "type", "unknown_purpose": "purpose", "key_taken": "key"}
RESERVED = ("new", "settings")  # addresses beside the questions'
RETIRE = {
    "seldom_answered": "Shown more than 500 times, and fewer than 15 in 100 answer.",
    "unused": "Shown more than 500 times in two months, and no segment uses the answers.",
}


@require_safe
@staff_page(read="marketer")
def questions(request: HttpRequest) -> HttpResponse:
    asked = list(Question.objects.select_related("purpose").order_by("-enabled", "-weight", "key"))
    fared = stats_by_question(asked)
    context = {
        "rows": [(question, fared[question.key], question_languages(question)) for question in asked],
        "retire": RETIRE,
        "asking": get_question_settings().asking,
        "may_write": may(request, ROLE),
    }
    return render(request, "console/questions.html", context)


@require_POST
@staff_page(read=NO_ROLE, write="marketer")
def switch(request: HttpRequest, key: str) -> HttpResponse:
    """Switch a question on or off."""
    on = request.POST.get("on") == "1"
    switch_question(key, on)
    sentence = "The question is on: it may be asked at the next login." if on else "The question is off."
    return done(request, "/console/questions", "question.switched", key, sentence, on=on)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(read="marketer", write="marketer")
def question(request: HttpRequest, key: str = "") -> HttpResponse:
    """Show or save the form of a question; `do=preview` shows what a customer sees and saves nothing."""
    saved = Question.objects.select_related("purpose").filter(key=key).first() if key else None
    if key and saved is None:
        raise Http404("There is no such question.")
    if request.method != "POST":
        return _page(request, saved, fields_of(saved) if saved else EMPTY)
    given = {name: value for name, value in request.POST.items() if isinstance(value, str)}
    if given.get("do") == "preview":
        return _page(request, saved, given)
    given, removed = remove_translation(given)
    try:
        # A new question takes a key of its own
        draft = read_draft(given, saved)
        if saved:
            with editing(request, saved, _shown):
                made = save_question(draft, edit=True)
                without = f", without {removed}" if removed else ""
                return _saved(request, made, f"Saved as version {made.version}{without}.")
        if draft.key in RESERVED:
            raise Invalid("reserved_key", f"No question can be called {draft.key!r}. Give it another key.", "key")
        with creating(request) as sent:
            made = save_question(draft, new=True)
            sent.address = f"/console/questions/{made.key}"
            on = "Saved and on: it may be asked at the next login."
            return _saved(request, made, on if made.enabled else "Saved. Switch it on when it reads well.")
    except DomainError as error:
        return _page(request, saved, given, form_error(error, INPUTS))


def _saved(request: HttpRequest, made: Question, sentence: str) -> HttpResponse:
    return done(request, f"/console/questions/{made.key}", "question.saved", made.key, sentence, version=made.version)


def _shown(saved: Question) -> FormContent:
    ticks = ("may_decline", "may_not_know", "rules_see_answer")
    fields = {name: text for name, text in fields_of(saved).items() if name not in ("key", "enabled")}
    values = {name: bool(text) if name in ticks else text for name, text in fields.items()}
    labels = {"text": "Question", "why": "Why you ask", "type": "Kind of answer", "options": "Answers to choose from"}
    return FormContent(saved.key, ("question.saved",), values, labels=labels)


def _page(
    request: HttpRequest, saved: Question | None, given: Mapping[str, str], problem: FormError | None = None
) -> HttpResponse:
    purposes = {purpose.key: purpose for purpose in Purpose.objects.filter(active=True).order_by("key")}
    context = {
        "saved": saved,
        "given": given,
        "types": [(name, kind.label) for name, kind in TYPES.items()],
        "purposes": [(purpose.key, f"{purpose.label} ({purpose.key})") for purpose in purposes.values()],
        "attributes": list(Attribute.objects.order_by("key").values_list("key", "label")),
        "fared": stats_by_question([saved])[saved.key] if saved else None,
        "wordings": question_stats(by_variant=True, questions=[saved]) if saved else [],
        "used_by": segments_using(saved) if saved else [],
        "languages": question_languages(saved) if saved else None,
        "translations": translation_blocks(given),
        "variants": numbered_blocks(given, "variant"),
        **preview_form(given, purposes),
    }
    edits = _shown(saved) if saved else None
    return form_page(request, "console/question.html", context, role=ROLE, problem=problem, part="preview", edits=edits)
