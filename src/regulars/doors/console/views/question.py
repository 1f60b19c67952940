"""One question: its form, and what a customer sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods

from regulars.base.kit.errors import Refused
from regulars.consent.models import Purpose
from regulars.profiles.models import Attribute
from regulars.questions.counts import Counts, counts
from regulars.questions.declare import TYPES, Option
from regulars.questions.models import Question
from regulars.questions.save import Draft, save_question

from ..door import may, require, show, staff_page
from ..forms import Problem, done, lines, problem_of
from .questions import ROLE

INPUTS = {"unknown_plugin": "type", "unknown_purpose": "purpose", "key_taken": "key"}
EMPTY = {"type": "single_choice", "purpose": "personalise", "weight": "1", "enabled": ""}


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def question(request: HttpRequest, key: str = "") -> HttpResponse:
    """The form of a question, or of a new one; `do=preview` shows it to a customer's eyes and saves nothing."""
    saved = Question.objects.select_related("purpose").filter(key=key).first() if key else None
    if key and saved is None:
        raise Http404("There is no such question.")
    if request.method != "POST":
        return _page(request, saved, _written(saved) if saved else EMPTY)
    given = {name: value for name, value in request.POST.items() if isinstance(value, str)}
    if given.get("do") == "preview":
        return _page(request, saved, given)
    require(request, ROLE)
    try:
        made = save_question(_draft(given, saved))
    except Refused as refused:
        return _page(request, saved, given, problem_of(refused, INPUTS))
    sentence = f"Saved as version {made.version}." if saved else "Saved. Switch it on when it reads well."
    if made.enabled and not saved:
        sentence = "Saved and on: it may be asked at the next login."
    return done(request, f"/console/questions/{made.key}", "question.saved", made.key, sentence, version=made.version)


def _page(
    request: HttpRequest, saved: Question | None, given: Mapping[str, str], problem: Problem | None = None
) -> HttpResponse:
    purposes = {purpose.key: purpose for purpose in Purpose.objects.filter(active=True).order_by("key")}
    context = {
        "saved": saved,
        "given": given,
        "problem": problem,
        "types": [(name, kind.label) for name, kind in TYPES.items()],
        "purposes": [(purpose.key, f"{purpose.label} ({purpose.key})") for purpose in purposes.values()],
        "attributes": list(Attribute.objects.order_by("key").values_list("key", "label")),
        "counts": counts().get(saved.pk, Counts()) if saved else None,
        "may_write": may(request, ROLE),
        **_preview(given, purposes),
    }
    return show(request, "console/question.html", context, part="preview", status=400 if problem else 200)


def _preview(given: Mapping[str, str], purposes: Mapping[str, Purpose]) -> dict[str, Any]:
    """The question as the sign-in page is handed it."""
    kind = TYPES[given["type"]] if given.get("type") in TYPES else TYPES[EMPTY["type"]]
    wording = {"why": given.get("why") or "What she gets for her answer.", "help": given.get("help", "")}
    return {
        "question": {"purpose": purposes.get(given.get("purpose", ""))},
        "wording": wording,
        "text": given.get("text") or "Your question",
        "field": kind.field(_options(given.get("options", ""))),
    }


def _draft(given: Mapping[str, str], saved: Question | None) -> Draft:
    key = saved.key if saved else given.get("key", "").strip() or slugify(given.get("text", ""))[:64]
    if saved is None and (key == "new" or Question.objects.filter(key=key).exists()):
        raise Refused("key_taken", f"There is a question called {key!r} already.")
    return Draft(
        key=key,
        text=given.get("text", ""),
        why=given.get("why", ""),
        help=given.get("help", ""),
        type=given.get("type", ""),
        options=_options(given.get("options", "")),
        attribute=given.get("attribute", "").strip(),
        purpose=given.get("purpose", ""),
        weight=_weight(given.get("weight", "")),
        enabled=given.get("enabled") == "on",
    )


def _options(text: str) -> list[Option]:
    """`jackets = Warm jackets` by line; a line without `=` is its own label, and its key follows from it."""
    pairs = [line.partition("=") if "=" in line else (slugify(line) or line, "=", line) for line in lines(text)]
    return [Option(key.strip()[:64], label.strip() or key.strip()) for key, _, label in pairs]


def _weight(text: str) -> float:
    try:
        return float(text.strip().replace(",", ".") or 1)
    except ValueError:
        raise Refused("bad_weight", "The weight is a number, such as 1 or 2.5.", "weight") from None


def _written(saved: Question) -> dict[str, str]:
    """A saved question as its form was filled in."""
    return {
        "key": saved.key,
        "text": saved.text,
        "why": saved.why,
        "help": saved.help,
        "type": saved.type,
        "options": "\n".join(f"{each.key} = {each.label}" for each in saved.choices()),
        "attribute": saved.attribute,
        "purpose": saved.purpose_id,
        "weight": f"{saved.weight:g}",
        "enabled": "on" if saved.enabled else "",
    }
