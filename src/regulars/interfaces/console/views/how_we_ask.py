"""How seldom and how keenly customers are asked, and the switch that stops all asking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from regulars.base.errors import DomainError, Invalid
from regulars.questions.models import QuestionSettings
from regulars.questions.settings import get_question_settings, save_settings

from ..door import may, require, staff_page
from ..forms import FormError, done, problem_of

ROLE = "admin"
PACES = (
    ("0.3", "Very gentle", "A pass costs a lot: she is asked where the answer is nearly sure and worth much."),
    ("0.15", "Gentle", "Fewer questions, better answered."),
    ("0.075", "Balanced", "Where to begin."),
    ("0.0375", "Curious", "More questions, more passes."),
    ("0.02", "Very curious", "Nearly every question that is open is asked."),
)


@dataclass(frozen=True)
class Cap:
    """One whole number an operator sets."""

    name: str
    label: str
    help: str = ""


CAPS = (
    Cap("days_between", "Days between two questions", "To one customer, on all her devices together."),
    Cap("min_logins", "Logins before the first question"),
    Cap("most_in_30_days", "Questions in 30 days, at most", "0: no such limit."),
    Cap("one_more", "More questions after an answer, if she likes", "0, 1 or 2. She is thanked, and chooses."),
    Cap("quiet_after_passes", "Passes in a row, then quiet", "0: never quiet."),
    Cap("quiet_days", "Days of quiet"),
    Cap("pass_days", "Days a question rests after a pass", "Twice as long after every further one."),
    Cap("shows", "Showings without an answer", "Then this question is never shown to her again."),
    Cap("declined_days", "Days of rest after “I prefer not to say”"),
    Cap("adult_age", "Ask nobody younger than", "In years, where we know her age."),
    Cap("measure_from", "Showings before anything is left to chance", "With fewer the figures would say nothing."),
)
SHARES = (
    Cap("control_share", "Logins that are asked nothing, in %", "They show what asking changes."),
    Cap("explore_share", "Questions drawn by lot, in %", "They show what choosing well is worth."),
)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def settings(request: HttpRequest) -> HttpResponse:
    saved = get_question_settings()
    if request.method != "POST":
        return _page(request, _written(saved))
    require(request, ROLE)
    given = {name: value for name, value in request.POST.items() if isinstance(value, str)}
    try:
        changes = _read(given)
        save_settings(**changes)
    except DomainError as refused:
        return _page(request, given, problem_of(refused))
    sentence = "Saved. It holds from the next login on." if changes["asking"] else "Saved. Nobody is asked any more."
    return done(request, "/console/questions/how-we-ask", "questions.settings", "how we ask", sentence, **changes)


def _page(request: HttpRequest, given: Mapping[str, str], problem: FormError | None = None) -> HttpResponse:
    context = {
        "given": given,
        "problem": problem,
        "caps": [(cap, given.get(cap.name, "")) for cap in CAPS],
        "shares": [(cap, given.get(cap.name, "")) for cap in SHARES],
        "paces": PACES if given.get("pace") in [pace for pace, *_ in PACES] else _with_own(given.get("pace", "")),
        "may_write": may(request, ROLE),
    }
    return render(request, "console/how_we_ask.html", context, status=400 if problem else 200)


def _with_own(pace: str) -> tuple[tuple[str, str, str], ...]:
    """A pace that was set by command stays what it is until another is chosen."""
    return (*PACES, (pace, f"As set: {pace}", "None of those above."))


def _written(saved: QuestionSettings) -> dict[str, str]:
    return {
        "asking": "on" if saved.asking else "",
        "pace": f"{saved.pace:g}",
        "priors": json.dumps(saved.priors, indent=2, ensure_ascii=False) if saved.priors else "",
        **{cap.name: str(getattr(saved, cap.name)) for cap in CAPS},
        **{cap.name: f"{100 * getattr(saved, cap.name):g}" for cap in SHARES},
    }


def _read(given: Mapping[str, str]) -> dict[str, Any]:
    """The settings of a filled-in form. Raises `DomainError` about the input that cannot be read."""
    return {
        "asking": given.get("asking") == "on",
        "pace": _number(given, "pace"),
        "priors": _priors(given.get("priors", "")),
        **{cap.name: _whole(given, cap.name) for cap in CAPS},
        **{cap.name: _number(given, cap.name) / 100 for cap in SHARES},
    }


def _whole(given: Mapping[str, str], name: str) -> int:
    text = given.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise Invalid("bad_number", "Write a whole number, such as 7.", name)
    return int(text)


def _number(given: Mapping[str, str], name: str) -> float:
    try:
        return float(given.get(name, "").strip().replace(",", "."))
    except ValueError:
        raise Invalid("bad_number", "Write a number, such as 5 or 2.5.", name) from None


def _priors(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError:
        raise Invalid("bad_priors", 'Write JSON such as {"gender": {"female": 0.6}}.', "priors") from None
