"""Question settings: the frequency and the balance of asking, and the switch that stops all questions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from regulars.base.errors import DomainError, Invalid
from regulars.base.json_reader import UnreadableJson, read_json
from regulars.questions.models import QuestionSettings
from regulars.questions.settings import get_question_settings, save_settings

from ..edits import FormContent, lock_form, refuse_outdated
from ..forms import FormError, decimal_number, form_error, form_page, whole_number
from ..pages import done, staff_page

ROLE = "admin"
SUBJECT = "question settings"
PACES = (
    ("0.3", "Very gentle", "A pass costs a lot: a customer is asked where the answer is nearly sure and worth much."),
    ("0.15", "Gentle", "Fewer questions, better answered."),
    ("0.075", "Balanced", "A good start."),
    ("0.0375", "Curious", "More questions, more passes."),
    ("0.02", "Very curious", "Nearly every open question is asked."),
)


@dataclass(frozen=True)
class Cap:
    """One number that an operator sets."""

    name: str
    label: str
    help: str = ""


CAPS = (
    Cap("days_between", "Days between two questions", "To one customer, on all their devices together."),
    Cap("min_logins", "Logins before the first question"),
    Cap("most_in_30_days", "Questions in 30 days, at most", "0: no such limit."),
    Cap(
        "one_more", "More questions after an answer, if the customer agrees", "0, 1 or 2. They are thanked, and choose."
    ),
    Cap("quiet_after_passes", "Passes in a row, then quiet", "0: never quiet."),
    Cap("quiet_days", "Days of quiet"),
    Cap("pass_days", "Days a question rests after a pass", "Twice as long after every further one."),
    Cap("shows", "Showings without an answer", "Then this question is never shown to the customer again."),
    Cap("declined_days", "Days of rest after “I prefer not to say”"),
    Cap("adult_age", "Youngest age that is asked", "In years, where the age is known."),
    Cap("measure_from", "Showings before experimentation starts", "Fewer give no meaningful figures."),
)
SHARES = (
    Cap("control_share", "Control group: logins without a question, in %", "They show what asking changes."),
    Cap("explore_share", "Questions drawn at random, in %", "They show what a good choice is worth."),
)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(read="marketer", write="admin")
def settings(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _page(request, _typed(get_question_settings()))
    given = request.POST.dict()
    try:
        text = given.get("priors", "").strip()
        try:
            priors = read_json(text) if text else {}
        except UnreadableJson:
            raise Invalid("bad_priors", 'Write JSON such as {"gender": {"female": 0.6}}.', "priors") from None
        changes = {
            "asking": given.get("asking") == "on",
            "pace": _decimal(given, "pace"),
            "priors": priors,
            **{cap.name: _whole(given, cap.name) for cap in CAPS},
            **{cap.name: _decimal(given, cap.name) / 100 for cap in SHARES},
        }
        with transaction.atomic():
            lock_form("questions.settings")
            refuse_outdated(request, _shown())
            save_settings(**changes)
            on = "Saved. It takes effect at the next login."
            sentence = on if changes["asking"] else "Saved. Customers are no longer asked."
            here = "/console/questions/settings"
            return done(request, here, "questions.settings", SUBJECT, sentence, **changes)
    except DomainError as error:
        return _page(request, given, form_error(error))


def _typed(saved: QuestionSettings) -> dict[str, str]:
    return {
        "asking": "on" if saved.asking else "",
        "pace": f"{saved.pace:g}",
        "priors": json.dumps(saved.priors, indent=2, ensure_ascii=False) if saved.priors else "",
        **{cap.name: str(getattr(saved, cap.name)) for cap in CAPS},
        **{cap.name: f"{100 * getattr(saved, cap.name):g}" for cap in SHARES},
    }


def _shown() -> FormContent:
    values = {name: bool(text) if name == "asking" else text for name, text in _typed(get_question_settings()).items()}
    labels = {"asking": "Ask questions at logins", **{cap.name: cap.label for cap in (*CAPS, *SHARES)}}
    return FormContent(SUBJECT, ("questions.settings",), values, labels=labels)


def _page(request: HttpRequest, given: Mapping[str, str], problem: FormError | None = None) -> HttpResponse:
    pace = given.get("pace", "")
    paces: tuple[tuple[str, str, str], ...] = PACES
    if pace not in [each for each, *_ in PACES]:  # set on the command line: kept until another is chosen
        paces = (*PACES, (pace, f"As set: {pace}", "None of those above."))
    context = {
        "given": given,
        "caps": [(cap, given.get(cap.name, "")) for cap in CAPS],
        "shares": [(cap, given.get(cap.name, "")) for cap in SHARES],
        "paces": paces,
    }
    return form_page(request, "console/question_settings.html", context, role=ROLE, problem=problem, edits=_shown())


def _whole(given: Mapping[str, str], name: str) -> int:
    number = whole_number(given.get(name, ""), 5)
    if number is None:
        raise Invalid("bad_number", "Write a whole number, such as 7.", name)
    return number


def _decimal(given: Mapping[str, str], name: str) -> float:
    return decimal_number(given.get(name, ""), name, "Write a number, such as 5 or 2.5.")
