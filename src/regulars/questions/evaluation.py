"""How good would another way of choosing have been, judged from what was logged. Plain functions.

Every logged ask knows how likely the policy of its time was to make it; an ask the new policy would have made counts the
more the less likely it was. Both figures keep silent below thirty effective asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from regulars.base.errors import Invalid

FEWEST = 30  # effective asks
Z95 = 1.96


@dataclass(frozen=True)
class Logged:
    """One ask: how likely it was then and would be under the new policy, what came of it in bits, and what a model says
    of the ask made (`expected`) and of what the new policy would ask (`expected_new`)."""

    probability: float
    probability_new: float
    reward: float
    expected: float = 0.0
    expected_new: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """Bits per ask, its standard error, and how many asks it effectively rests on."""

    value: float
    error: float
    asks: float


def snips(log: Sequence[Logged]) -> Estimate:
    """Self-normalised inverse propensity. Raises `Invalid("too_few_asks")`."""
    weights = _weights(log)
    total = sum(weights)
    value = sum(w * each.reward for w, each in zip(weights, log, strict=True)) / total
    spread = sum((w * (each.reward - value)) ** 2 for w, each in zip(weights, log, strict=True))
    return Estimate(value, math.sqrt(spread) / total, effective(weights))


def doubly_robust(log: Sequence[Logged]) -> Estimate:
    """The model's figure, set right by what really came of the asks. Raises `Invalid("too_few_asks")`."""
    weights = _weights(log)
    each_one = [
        each.expected_new + weight * (each.reward - each.expected) for weight, each in zip(weights, log, strict=True)
    ]
    value = sum(each_one) / len(each_one)
    spread = sum((one - value) ** 2 for one in each_one) / max(len(each_one) - 1, 1)
    return Estimate(value, math.sqrt(spread / len(each_one)), effective(weights))


def effective(weights: Sequence[float]) -> float:
    """How many equally weighted asks are worth as much."""
    squares = sum(weight**2 for weight in weights)
    return sum(weights) ** 2 / squares if squares else 0.0


def interval(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; (0, 1) of nothing."""
    if not trials:
        return 0.0, 1.0
    share, z2 = successes / trials, Z95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _weights(log: Sequence[Logged]) -> list[float]:
    weights = [each.probability_new / each.probability for each in log]
    if effective(weights) < FEWEST:
        raise Invalid(
            "too_few_asks", f"That rests on {effective(weights):.0f} asks; below {FEWEST} it would say nothing."
        )
    return weights
