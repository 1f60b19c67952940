"""Who answers what: a mixture of customer types, learned from profiles full of holes. Plain numpy.

Attributes k = 1..K have answers 0..A_k-1. A customer is of type c with probability `shares[c]`, and of type c she gives
answer v to attribute k with probability `answers[k][c, v]`. A profile is a row of small ints; -1 is a hole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOLE = -1
TYPES = (1, 2, 4, 8, 12, 16)
ROWS_PER_TYPE = 15
HOLD_OUT = 0.2
# EM rests on a plateau early: a looser stop (1e-4, no least number) silently gave the model of one type.
LEAST_ROUNDS, MOST_ROUNDS, STOP = 20, 200, 1e-6
TYPED = 20.0  # pseudo-profiles a typed share weighs
PULL = 4.0  # pseudo-answers towards the share of everybody: a type with few answers says "like everybody"


@dataclass(frozen=True)
class Mixture:
    """`shares` has one number per type, `answers` one table (types x answers) per attribute."""

    shares: Floats
    answers: tuple[Floats, ...]

    @property
    def types(self) -> int:
        return len(self.shares)

    def log_likelihood(self, rows: Ints) -> Floats:
        """The log-likelihood of each row; holes say nothing."""
        return _normalised(_log_weights(self.shares, self.answers, rows))[1]

    def as_json(self) -> dict[str, Any]:
        """Numbers rounded to six places: inspectable, and of nobody in particular."""
        return {
            "shares": [round(float(share), 6) for share in self.shares],
            "answers": [[[round(float(p), 6) for p in row] for row in table] for table in self.answers],
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Mixture:
        shares = np.asarray(stored["shares"], float)
        tables = (np.asarray(table, float) for table in stored["answers"])
        return cls(shares / shares.sum(), tuple(table / table.sum(1, keepdims=True) for table in tables))


def uniform(cards: Sequence[int]) -> Mixture:
    """What is believed on the first day: every answer is equally likely."""
    return Mixture(np.ones(1), tuple(np.full((1, card), 1.0 / card) for card in cards))


def fit(
    rows: Ints,
    cards: Sequence[int],
    types: int,
    *,
    seed: int = 0,
    priors: Sequence[Floats | None] = (),
    each_round: Callable[[float], None] | None = None,
) -> Mixture:
    """Expectation-maximisation with holes marginalised. `each_round` hears the penalised log-likelihood.

    `priors` are shares somebody knows, per attribute or None: they weigh as much as twenty profiles.
    """
    known = [np.eye(card)[np.maximum(rows[:, k], 0)] * (rows[:, k] >= 0)[:, None] for k, card in enumerate(cards)]
    pulls = _pulls(known, cards, types, [*priors, *[None] * (len(known) - len(priors))])
    belongs = np.ones((len(rows), 1))
    if types > 1:
        belongs = np.random.default_rng(seed).dirichlet(np.full(types, 0.5), len(rows))
    last = -np.inf
    for number in range(MOST_ROUNDS):
        model = _maximise(belongs, known, pulls)
        belongs, each = _normalised(_log_weights(model.shares, model.answers, rows))
        likelihood = float(each.sum()) + _prior(model, pulls)
        if each_round:
            each_round(likelihood)
        if number + 1 >= LEAST_ROUNDS and likelihood - last < STOP * abs(likelihood):
            break
        last = likelihood
    return model


def fit_best(
    rows: Ints,
    cards: Sequence[int],
    *,
    types: Sequence[int] = TYPES,
    seed: int = 0,
    priors: Sequence[Floats | None] = (),
) -> Mixture:
    """As many types as a held-out fifth of the answers speaks for (few rows: few types), fitted on all rows."""
    train, test = split(rows, seed)
    tried = [count for count in types if count == 1 or len(train) >= ROWS_PER_TYPE * count]
    scores: dict[int, float] = {}
    for count in tried:
        tried_out = fit(train, cards, count, seed=seed, priors=priors)
        scores[count] = float(tried_out.log_likelihood(test).mean())
    return fit(rows, cards, max(scores, key=lambda count: scores[count]), seed=seed, priors=priors)


def split(rows: Ints, seed: int = 0) -> tuple[Ints, Ints]:
    """Rows to learn from and the fifth held out, the same for the same seed."""
    order = np.random.default_rng(seed).permutation(len(rows))
    held = max(1, int(len(rows) * HOLD_OUT))
    return rows[order[held:]], rows[order[:held]]


def _pulls(known: list[Floats], cards: Sequence[int], types: int, typed: list[Floats | None]) -> list[Floats]:
    """Pseudo-answers of every type: a few like everybody's, or twenty profiles' worth of the share somebody typed."""
    pulls = []
    for table, card, share in zip(known, cards, typed, strict=True):
        like_everybody = PULL * (table.sum(0) + 1) / (table.sum() + card)
        pulls.append(like_everybody if share is None else share * max(TYPED / types, PULL))
    return pulls


def _maximise(belongs: Floats, known: list[Floats], pulls: list[Floats]) -> Mixture:
    shares = (belongs.sum(0) + 1) / (belongs.sum() + belongs.shape[1])
    tables = []
    for answers, pull in zip(known, pulls, strict=True):
        counts = belongs.T @ answers + pull
        tables.append(counts / counts.sum(1, keepdims=True))
    return Mixture(shares, tuple(tables))


def _prior(model: Mixture, pulls: list[Floats]) -> float:
    """What the pseudo-answers add, so that the number EM climbs is the one we watch."""
    of_shares = float(np.log(model.shares).sum())
    return of_shares + sum(
        float((np.log(table) @ pull).sum()) for table, pull in zip(model.answers, pulls, strict=True)
    )


def _log_weights(shares: Floats, answers: Sequence[Floats], rows: Ints) -> Floats:
    weights = np.tile(np.log(shares), (len(rows), 1))
    for k, table in enumerate(answers):
        weights += np.where((rows[:, k] >= 0)[:, None], np.log(table).T[np.maximum(rows[:, k], 0)], 0.0)
    return weights


def _normalised(log_weights: Floats) -> tuple[Floats, Floats]:
    """Each row's weights summing to one, and the log of what they summed to."""
    highest = log_weights.max(1, keepdims=True)
    weights = np.exp(log_weights - highest)
    total = weights.sum(1, keepdims=True)
    return weights / total, (highest + np.log(total))[:, 0]
