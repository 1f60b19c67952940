"""Which question to ask next, or why none. Plain functions.

The order of the reasons is fixed: the first that holds is the one a person reads.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass


@dataclass(frozen=True)
class Caps:
    """How seldom we ask. One per login follows from one per `days_between`, which is at least a day."""

    days_between: int = 1
    pass_days: int = 30  # rest of a question after its first pass; doubles with every further one
    shows: int = 3  # showings without an answer after which a question is never shown to her again


CAPS = Caps()


@dataclass(frozen=True)
class Candidate:
    """One question as this customer has met it so far."""

    key: str
    attribute: str
    weight: float = 1.0  # what an answer is worth to the company; 0 or less is never asked
    shown: int = 0
    passed: int = 0
    last_passed: dt.date | None = None


@dataclass(frozen=True)
class History:
    """What this customer has met of all questions."""

    last_asked: dt.date | None = None
    said_never: bool = False


@dataclass(frozen=True)
class Choice:
    key: str
    value: float


@dataclass(frozen=True)
class NotAsked:
    """Why no question was asked: a stable name for machines, see `SENTENCES` for people."""

    name: str

    @property
    def sentence(self) -> str:
        return SENTENCES[self.name]


SENTENCES = {
    "said_never": "She asked us not to ask again.",
    "asked_recently": "She was asked a short while ago.",
    "nothing_to_ask": "No question is switched on for her.",
    "all_known": "We know every answer already.",
    "resting": "She passed or left every open question; they rest.",
}


def choose(
    candidates: Sequence[Candidate],
    known: AbstractSet[str],
    history: History,
    today: dt.date,
    caps: Caps = CAPS,
) -> Choice | NotAsked:
    """The unknown, rested question worth most; equal ones in the order of their keys.

    `known` are attributes that any source tells. An unknown attribute is worth its question's weight, a known one
    nothing.
    """
    if history.said_never:
        return NotAsked("said_never")
    if history.last_asked and (today - history.last_asked).days < caps.days_between:
        return NotAsked("asked_recently")
    worth_asking = [each for each in candidates if each.weight > 0]
    if not worth_asking:
        return NotAsked("nothing_to_ask")
    unknown = [each for each in worth_asking if each.attribute not in known]
    if not unknown:
        return NotAsked("all_known")
    rested = [each for each in unknown if is_rested(each, today, caps)]
    if not rested:
        return NotAsked("resting")
    best = min(rested, key=lambda each: (-each.weight, each.key))
    return Choice(best.key, best.weight)


def is_rested(candidate: Candidate, today: dt.date, caps: Caps) -> bool:
    """Whether this question may be shown to her again: 30 days after one pass, 60 after two, never after three."""
    if candidate.shown >= caps.shows:
        return False
    if candidate.last_passed is None:
        return True
    rest: int = caps.pass_days * 2 ** max(candidate.passed - 1, 0)
    return (today - candidate.last_passed).days >= rest
