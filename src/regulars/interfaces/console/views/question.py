"""One question: its form, and what a customer sees of it."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

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
from regulars.questions.save import QuestionDraft, save_question
from regulars.questions.statistics import question_stats, segments_using, stats_by_question

from ..door import may, require, show, staff_page
from ..forms import FormError, done, problem_of
from .questions import ROLE

INPUTS = {"unknown_plugin": "type", "unknown_purpose": "purpose", "key_taken": "key"}
RESERVED = ("new", "how-we-ask")  # addresses beside the questions


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def question(request: HttpRequest, key: str = "") -> HttpResponse:
    """The form of a question, or of a new one; `do=preview` shows it to a customer's eyes and saves nothing."""
    saved = Question.objects.select_related("purpose").filter(key=key).first() if key else None
    if key and saved is None:
        raise Http404("There is no such question.")
    if request.method != "POST":
        return _page(request, saved, fields_of(saved) if saved else EMPTY)
    given = {name: value for name, value in request.POST.items() if isinstance(value, str)}
    if given.get("do") == "preview":
        return _page(request, saved, given)
    require(request, ROLE)
    given, gone = remove_translation(given)
    try:
        made = save_question(_unused(read_draft(given, saved), saved))
    except DomainError as refused:
        return _page(request, saved, given, problem_of(refused, INPUTS))
    without = f", without {gone}" if gone else ""
    sentence = f"Saved as version {made.version}{without}." if saved else "Saved. Switch it on when it reads well."
    if made.enabled and not saved:
        sentence = "Saved and on: it may be asked at the next login."
    return done(request, f"/console/questions/{made.key}", "question.saved", made.key, sentence, version=made.version)


def _page(
    request: HttpRequest, saved: Question | None, given: Mapping[str, str], problem: FormError | None = None
) -> HttpResponse:
    purposes = {purpose.key: purpose for purpose in Purpose.objects.filter(active=True).order_by("key")}
    context = {
        "saved": saved,
        "given": given,
        "problem": problem,
        "types": [(name, kind.label) for name, kind in TYPES.items()],
        "purposes": [(purpose.key, f"{purpose.label} ({purpose.key})") for purpose in purposes.values()],
        "attributes": list(Attribute.objects.order_by("key").values_list("key", "label")),
        "fared": stats_by_question([saved])[saved.key] if saved else None,
        "wordings": question_stats(by_variant=True, questions=[saved]) if saved else [],
        "used_by": segments_using(saved) if saved else [],
        "spoken": question_languages(saved) if saved else None,
        "translations": translation_blocks(given),
        "variants": numbered_blocks(given, "variant"),
        "may_write": may(request, ROLE),
        **preview_form(given, purposes),
    }
    return show(request, "console/question.html", context, part="preview", status=400 if problem else 200)


def _unused(draft: QuestionDraft, saved: Question | None) -> QuestionDraft:
    """A new question takes a key of its own."""
    if saved is None and (draft.key in RESERVED or Question.objects.filter(key=draft.key).exists()):
        raise Invalid("key_taken", f"There is a question called {draft.key!r} already.")
    return draft
