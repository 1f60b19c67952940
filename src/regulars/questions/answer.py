"""What came of an ask: read her answer, or close it without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_noop

from regulars.base import clock

from .appraise import Appraisal
from .declare import BadAnswer
from .models import Impression
from .wording import wording_of

__all__ = ["Answer", "BadAnswer", "close", "left_unsaid", "never_again", "pass_over", "read_answer"]

YES, NO = "__yes", "__no"  # to something offered for confirming
LONGEST_SOURCE = 128
UNSAID = {"__declined": Impression.Outcome.DECLINED, "__dont_know": Impression.Outcome.DONT_KNOW}


@dataclass(frozen=True)
class Answer:
    """`value` is JSON; `source` says which question in which words, for the fact: `question:looking_for@1`, or
    `app:<client id>:looking_for@1` when she answered inside an app.

    `source_kind` is `corrected` when she set right what somebody else told, else `declared`. `consent` is a yes or no to
    the question's purpose, which is a matter of the ledger and not a fact.
    """

    attribute: str
    value: Any
    source: str
    source_kind: str = "declared"
    consent: bool | None = None


def read_answer(ask: Impression, form: MultiValueDict[str, str], app: str = "") -> Answer:
    """What `form["answer"]` says; raises `BadAnswer` with the sentence to show beside the field.

    Of something to confirm the answer is `__yes`, or `__no` with what is right under `other`. `app` is the client id of
    the app she answered in, when it was not our page.
    """
    question = ask.question
    source = _source(ask, app)
    given, options = form.getlist("answer"), list(wording_of(ask).options) or question.choices()
    if ask.offer is not None:
        return _confirmed(ask, form, source)
    value = question.kind.read(given, options)
    consent = value if getattr(question.kind, "gives_consent", False) else None
    return Answer(question.attribute, value, source, consent=consent)


def left_unsaid(ask: Impression, form: MultiValueDict[str, str]) -> str:
    """`declined` or `dont_know` when she chose that and the question offers it; empty otherwise."""
    question = ask.question
    offered = {"__declined": question.may_decline, "__dont_know": question.may_not_know}
    chosen = [each for each in (*form.getlist("answer"), form.get("do", "")) if offered.get(each or "")]
    return UNSAID[chosen[0]] if chosen else ""


def close(ask: Impression, outcome: str, said: Answer | None = None) -> bool:
    """Whether this call closed the ask: of two (a double click, two tabs) the first counts."""
    now, bits = clock.now(), _bits(ask, said) if said else None
    open_ask = Impression.objects.filter(pk=ask.pk, outcome=Impression.Outcome.SHOWN)
    if not open_ask.update(outcome=outcome, closed_at=now, bits=bits):
        return False
    ask.outcome, ask.closed_at, ask.bits = outcome, now, bits
    return True


def pass_over(ask: Impression) -> bool:
    """Not now: the question rests, longer after every pass. False when the ask was closed already."""
    return close(ask, Impression.Outcome.PASSED)


def never_again(ask: Impression) -> bool:
    """Never ask her anything again. False when the ask was closed already."""
    return close(ask, Impression.Outcome.NEVER)


def _source(ask: Impression, app: str) -> str:
    """Which question in which words, and in which app; an id too long to stand beside the question stands alone."""
    question = f"{ask.question.key}@{ask.version}"
    if not app:
        return f"question:{question}"
    whole = f"app:{app}:{question}"
    return whole if len(whole) <= LONGEST_SOURCE else f"app:{app}"


def _confirmed(ask: Impression, form: MultiValueDict[str, str], source: str) -> Answer:
    """Who wrote another value corrects it, whether or not she also chose "No" above it."""
    question, given = ask.question, form.getlist("answer")
    if given[:1] == [YES]:
        return Answer(question.attribute, ask.offer, source)
    other = [each for each in form.getlist("other") if each.strip()]
    if not given and not other:
        raise BadAnswer("no_answer", gettext_noop("Say whether it is right, or pass."))
    other = other if given[:1] in ([], [NO]) else given
    value = question.kind.read(other, question.choices())
    return Answer(question.attribute, value, source, "declared" if value == ask.offer else "corrected")


def _bits(ask: Impression, said: Answer) -> float:
    """By what was written down when she was asked: the answer itself is kept with her facts alone."""
    doubts = {term: left for term, left in ask.after.items() if term not in ("before", "expected")}
    appraisal = Appraisal({"": ask.after.get("expected", 0.0)}, ask.after.get("before", 0.0), doubts)
    return appraisal.gained(said.attribute, said.value)
