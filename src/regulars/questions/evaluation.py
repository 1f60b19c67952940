"""Off-policy evaluation: estimate another selection policy from logged impressions.

Every impression has the probability with which the policy of its time selected it. An impression that the new policy would
select counts the more, the less likely it was. Neither estimate is given below thirty effective impressions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from regulars.base.errors import Invalid

MIN_EFFECTIVE = 30  # impressions
Z95 = 1.96


@dataclass(frozen=True)
class LoggedImpression:
    """One impression: its probability then and under the new policy, and its reward in bits.

    `expected` is the reward that a model predicts of it, `expected_new` of the question the new policy would show.
    """

    probability: float
    probability_new: float
    reward: float
    expected: float = 0.0
    expected_new: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """Bits per impression, the standard error, and the effective number of impressions."""

    value: float
    error: float
    impressions: float


def snips(log: Sequence[LoggedImpression]) -> Estimate:
    """Estimate by self-normalised inverse propensity. Raises `Invalid("too_few_asks")`."""
    weights = _weights(log)
    total = sum(weights)
    value = sum(w * each.reward for w, each in zip(weights, log, strict=True)) / total
    spread = sum((w * (each.reward - value)) ** 2 for w, each in zip(weights, log, strict=True))
    return Estimate(value, math.sqrt(spread) / total, effective(weights))


def doubly_robust(log: Sequence[LoggedImpression]) -> Estimate:
    """Estimate by the model, corrected by the observed rewards. Raises `Invalid("too_few_asks")`."""
    weights = _weights(log)
    each_one = [
        each.expected_new + weight * (each.reward - each.expected) for weight, each in zip(weights, log, strict=True)
    ]
    value = sum(each_one) / len(each_one)
    spread = sum((one - value) ** 2 for one in each_one) / max(len(each_one) - 1, 1)
    return Estimate(value, math.sqrt(spread / len(each_one)), effective(weights))


def effective(weights: Sequence[float]) -> float:
    """Return how many equally weighted impressions are worth as much."""
    squares = sum(weight**2 for weight in weights)
    return sum(weights) ** 2 / squares if squares else 0.0


def interval(successes: int, trials: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share; (0, 1) without trials."""
    if not trials:
        return 0.0, 1.0
    share, z2 = successes / trials, Z95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _weights(log: Sequence[LoggedImpression]) -> list[float]:
    weights = [each.probability_new / each.probability for each in log]
    if effective(weights) < MIN_EFFECTIVE:
        raise Invalid(
            "too_few_asks", f"Only {effective(weights):.0f} effective impressions; an estimate needs {MIN_EFFECTIVE}."
        )
    return weights
