"""How likely she is to answer. Plain functions.

A question's own rate is pulled towards the rate of its kind, a person's towards everybody's; a pass of the very question
and every ask of the last month make an answer less likely.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

START = 0.5  # of a kind nobody has been asked yet; a planning figure, replaced by our own counts
PULL = 20  # pseudo-showings at the rate of the kind
PERSON_SPREAD = 0.8  # standard deviation between people, in log-odds
PER_PASS, PER_ASK = 1.5, 0.35  # log-odds lost per pass of this question, and per ask in 30 days


@dataclass(frozen=True)
class Rate:
    """How a question has fared with everybody; `kind` is the mean rate of questions of its kind."""

    shown: int = 0
    answered: int = 0
    kind: float = START


def chance_of_answer(rate: Rate, person: float, passes: int, asks_lately: int) -> float:
    """Between 0 and 1. `person` is from `person_effect`."""
    of_question = logit((rate.answered + PULL * rate.kind) / (rate.shown + PULL))
    return sigmoid(of_question + person - PER_PASS * passes - PER_ASK * asks_lately)


def person_effect(asks: Sequence[tuple[bool, float]]) -> float:
    """One Newton step over her own asks: (did she answer, how likely was it thought); 0.0 of somebody new."""
    surprise = sum(answered - chance for answered, chance in asks)
    certainty = sum(chance * (1 - chance) for _, chance in asks)
    return surprise / (certainty + 1 / PERSON_SPREAD**2)


def logit(p: float) -> float:
    p = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-min(max(z, -50.0), 50.0)))
