"""What came of an ask: read her answer, or close it without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.datastructures import MultiValueDict

from regulars.base.kit import clock

from .declare import BadAnswer
from .models import Ask

__all__ = ["Answer", "BadAnswer", "close", "never_again", "pass_over", "read_answer"]


@dataclass(frozen=True)
class Answer:
    """`value` is JSON; `source` says which question in which words, for the fact: `question:looking_for@1`."""

    attribute: str
    value: Any
    source: str


def read_answer(ask: Ask, form: MultiValueDict[str, str]) -> Answer:
    """What `form["answer"]` says; raises `BadAnswer` with the sentence to show beside the field."""
    question = ask.question
    value = question.kind.read(form.getlist("answer"), question.choices())
    return Answer(question.attribute, value, f"question:{question.key}@{ask.version}")


def close(ask: Ask, outcome: str) -> bool:
    """Whether this call closed the ask: of two (a double click, two tabs) the first counts."""
    now = clock.now()
    open_ask = Ask.objects.filter(pk=ask.pk, outcome=Ask.Outcome.SHOWN)
    if not open_ask.update(outcome=outcome, closed_at=now):
        return False
    ask.outcome, ask.closed_at = outcome, now
    return True


def pass_over(ask: Ask) -> bool:
    """Not now: the question rests, longer after every pass. False when the ask was closed already."""
    return close(ask, Ask.Outcome.PASSED)


def never_again(ask: Ask) -> bool:
    """Never ask her anything again. False when the ask was closed already."""
    return close(ask, Ask.Outcome.NEVER)
