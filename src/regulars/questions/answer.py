"""Read the answer to an impression, or close it without one."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_noop

from regulars.base import clock

from .models import Impression
from .question_type import BadAnswer
from .scoring import QuestionValue
from .wording import wording_of

__all__ = ["BadAnswer", "GivenAnswer", "close", "read_answer", "skip_option"]

YES, NO = "__yes", "__no"  # to a value to confirm
MAX_SOURCE = 128
SKIP_OPTIONS = {"__declined": Impression.Outcome.DECLINED, "__dont_know": Impression.Outcome.DONT_KNOW}


@dataclass(frozen=True)
class GivenAnswer:
    """`value` is JSON; `source` names the question and its version, for the fact: `question:looking_for@1`, or
    `app:<client id>:looking_for@1` for an answer given inside an app.

    `source_kind` is `corrected` when the customer corrected a value from another source, else `declared`. `consent` is a
    yes or no to the question's purpose, which the ledger keeps instead of a fact.
    """

    attribute: str
    value: object
    source: str
    source_kind: str = "declared"
    consent: bool | None = None


def read_answer(impression: Impression, form: MultiValueDict[str, str], app: str = "") -> GivenAnswer:
    """Read `form["answer"]`; raises `BadAnswer` with the message to show beside the field.

    For a value to confirm the answer is `__yes`, or `__no` with the right value as `other`. `app` is the client id of the
    app in which the customer answered, when it was not our page.
    """
    question, source = impression.question, f"question:{impression.question.key}@{impression.version}"
    if app:  # a client id too long to fit beside the question is recorded alone
        with_question = f"app:{app}:{question.key}@{impression.version}"
        source = with_question if len(with_question) <= MAX_SOURCE else f"app:{app}"
    if impression.to_confirm is not None:
        return _read_confirmation(impression, form, source)
    options = list(wording_of(impression).options) or question.choices()
    value = question.kind.read(form.getlist("answer"), options)
    return GivenAnswer(question.attribute, value, source, consent=value if question.kind.gives_consent else None)


def skip_option(impression: Impression, form: MultiValueDict[str, str]) -> str:
    """Return `declined` or `dont_know` when the customer chose that and the question offers it; empty otherwise."""
    question = impression.question
    offered = {"__declined": question.may_decline, "__dont_know": question.may_not_know}
    chosen = [each for each in (*form.getlist("answer"), form.get("do", "")) if offered.get(each or "")]
    return SKIP_OPTIONS[chosen[0]] if chosen else ""


def close(impression: Impression, outcome: str, answer: GivenAnswer | None = None) -> bool:
    """Return whether this call closed the impression: of two (a double click, two tabs) the first counts."""
    now, bits = clock.now(), None
    if answer:  # computed from the figures recorded when it was shown: the answer itself is kept as a fact alone
        after = {term: left for term, left in impression.after.items() if term not in ("before", "expected")}
        value = QuestionValue({"": impression.after.get("expected", 0.0)}, impression.after.get("before", 0.0), after)
        bits = value.gained(answer.attribute, answer.value)
    still_open = Impression.objects.filter(pk=impression.pk, outcome=Impression.Outcome.SHOWN)
    if not still_open.update(outcome=outcome, closed_at=now, bits=bits):
        return False
    impression.outcome, impression.closed_at, impression.bits = outcome, now, bits
    return True


def _read_confirmation(impression: Impression, form: MultiValueDict[str, str], source: str) -> GivenAnswer:
    """Another value is a correction, whether or not the customer also chose "No" above it."""
    question, given = impression.question, form.getlist("answer")
    if given[:1] == [YES]:
        return GivenAnswer(question.attribute, impression.to_confirm, source)
    other = [each for each in form.getlist("other") if each.strip()]
    if not given and not other:
        raise BadAnswer("no_answer", gettext_noop("Say whether it is right, or choose “Not now”."))
    other = other if given[:1] in ([], [NO]) else given
    value = question.kind.read(other, question.choices())
    return GivenAnswer(question.attribute, value, source, "declared" if value == impression.to_confirm else "corrected")
