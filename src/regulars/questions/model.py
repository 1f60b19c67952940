"""Model of answers: a mixture of customer types learned from incomplete profiles, and the probability of an answer.

Features k = 0..K-1 have answers 0..A_k-1. A customer is of type c with probability `shares[c]`, and a customer of type c
gives answer v to feature k with probability `answers[k][c, v]`. A profile is a row of small ints; -1 is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from .features import FeatureSpace, Floats, Ints, Priors, prior_shares

TYPES = (1, 2, 4, 8, 12, 16)
ROWS_PER_TYPE = 15
HOLD_OUT = 0.2
# EM rests on a plateau early: a looser stop (1e-4, no minimum of rounds) silently gave the model of one type.
MIN_ROUNDS, MAX_ROUNDS, TOLERANCE = 20, 200, 1e-6
PRIOR_PROFILES = 20.0  # pseudo-profiles that an operator's share weighs
PULL = 4.0  # pseudo-answers towards the overall share: a type with few answers resembles all customers

INITIAL_RATE = 0.5  # of a kind of question never shown; a planning figure, replaced by measured counts
RATE_PULL = 20  # pseudo-impressions at the rate of the kind
PERSON_SPREAD = 0.8  # standard deviation between customers, in log-odds
PER_PASS, PER_IMPRESSION = 1.5, 0.35  # log-odds lost per pass of this question, and per impression in 30 days


class MixtureJson(TypedDict):
    """A mixture as `AnswerModel.mixture` stores it."""

    shares: list[float]
    answers: list[list[list[float]]]


@dataclass(frozen=True)
class Mixture:
    """`shares` has one number per type, `answers` one table (types x answers) per feature."""

    shares: Floats
    answers: tuple[Floats, ...]

    @property
    def types(self) -> int:
        return len(self.shares)

    def log_likelihood(self, rows: Ints) -> Floats:
        """Return the log-likelihood of each row; unknown answers do not count."""
        return _normalised(_log_weights(self.shares, self.answers, rows))[1]

    def as_json(self) -> MixtureJson:
        """Return the numbers rounded to six places, to be inspected; they describe no single customer."""
        return {
            "shares": [round(float(share), 6) for share in self.shares],
            "answers": [[[round(float(p), 6) for p in row] for row in table] for table in self.answers],
        }

    @classmethod
    def from_json(cls, stored: MixtureJson) -> Mixture:
        shares = np.asarray(stored["shares"], float)
        tables = (np.asarray(table, float) for table in stored["answers"])
        return cls(shares / shares.sum(), tuple(table / table.sum(1, keepdims=True) for table in tables))


def uniform(cardinalities: Sequence[int]) -> Mixture:
    """Return the model of the first day: every answer is equally likely."""
    return Mixture(np.ones(1), tuple(np.full((1, size), 1.0 / size) for size in cardinalities))


def adapt(mixture: Mixture, stored: Sequence[tuple[str, int]], space: FeatureSpace, priors: Priors) -> Mixture:
    """Return a stored mixture for the features of `space`; features it does not hold get the priors.

    `stored` names the mixture's features, each with its number of answers.
    """
    place = {known: k for k, known in enumerate(stored)}
    tables = []
    for feature in space.features:
        k = place.get((feature.name, feature.cardinality))
        fallback = np.tile(prior_shares(feature, priors), (mixture.types, 1))
        tables.append(mixture.answers[k] if k is not None else fallback)
    return Mixture(mixture.shares, tuple(tables))


def fit(
    rows: Ints,
    cardinalities: Sequence[int],
    types: int,
    *,
    seed: int = 0,
    priors: Sequence[Floats | None] = (),
    each_round: Callable[[float], None] | None = None,
) -> Mixture:
    """Fit by expectation-maximisation, with unknown answers marginalised.

    `priors` are shares an operator knows, per feature or None: they weigh as much as twenty profiles. `each_round`
    receives the penalised log-likelihood.
    """
    known = [np.eye(n)[np.maximum(rows[:, k], 0)] * (rows[:, k] >= 0)[:, None] for k, n in enumerate(cardinalities)]
    pulls = []  # pseudo-answers of every type: a few of the overall share, or twenty profiles' worth of an entered share
    for table, size, share in zip(known, cardinalities, [*priors, *[None] * (len(known) - len(priors))], strict=True):
        overall = PULL * (table.sum(0) + 1) / (table.sum() + size)
        pulls.append(overall if share is None else share * max(PRIOR_PROFILES / types, PULL))
    belongs = np.ones((len(rows), 1))
    if types > 1:
        belongs = np.random.default_rng(seed).dirichlet(np.full(types, 0.5), len(rows))
    last = -np.inf
    for number in range(MAX_ROUNDS):
        model = _maximise(belongs, known, pulls)
        belongs, each = _normalised(_log_weights(model.shares, model.answers, rows))
        # The part of the pseudo-answers is included, so that the number which EM raises is the number we watch.
        of_tables = sum(float((np.log(table) @ pull).sum()) for table, pull in zip(model.answers, pulls, strict=True))
        likelihood = float(each.sum()) + (float(np.log(model.shares).sum()) + of_tables)
        if each_round:
            each_round(likelihood)
        if number + 1 >= MIN_ROUNDS and likelihood - last < TOLERANCE * abs(likelihood):
            break
        last = likelihood
    return model


def fit_best(
    rows: Ints,
    cardinalities: Sequence[int],
    *,
    types: Sequence[int] = TYPES,
    seed: int = 0,
    priors: Sequence[Floats | None] = (),
) -> Mixture:
    """Fit on all rows, with the number of types that predicts a held-out fifth best (few rows: few types)."""
    train, test = split(rows, seed)
    scores: dict[int, float] = {}
    for count in (count for count in types if count == 1 or len(train) >= ROWS_PER_TYPE * count):
        trial = fit(train, cardinalities, count, seed=seed, priors=priors)
        scores[count] = float(trial.log_likelihood(test).mean())
    return fit(rows, cardinalities, max(scores, key=lambda count: scores[count]), seed=seed, priors=priors)


def split(rows: Ints, seed: int = 0) -> tuple[Ints, Ints]:
    """Return the rows to learn from and the fifth held out, the same for the same seed."""
    order = np.random.default_rng(seed).permutation(len(rows))
    held = max(1, int(len(rows) * HOLD_OUT))
    return rows[order[held:]], rows[order[:held]]


def _maximise(belongs: Floats, known: list[Floats], pulls: list[Floats]) -> Mixture:
    shares = (belongs.sum(0) + 1) / (belongs.sum() + belongs.shape[1])
    tables = []
    for answers, pull in zip(known, pulls, strict=True):
        counts = belongs.T @ answers + pull
        tables.append(counts / counts.sum(1, keepdims=True))
    return Mixture(shares, tuple(tables))


def _log_weights(shares: Floats, answers: Sequence[Floats], rows: Ints) -> Floats:
    weights = np.tile(np.log(shares), (len(rows), 1))
    for k, table in enumerate(answers):
        weights += np.where((rows[:, k] >= 0)[:, None], np.log(table).T[np.maximum(rows[:, k], 0)], 0.0)
    return weights


def _normalised(log_weights: Floats) -> tuple[Floats, Floats]:
    """Return each row's weights scaled to a sum of one, and the log of the sum before."""
    highest = log_weights.max(1, keepdims=True)
    weights = np.exp(log_weights - highest)
    total = weights.sum(1, keepdims=True)
    return weights / total, (highest + np.log(total))[:, 0]


@dataclass(frozen=True)
class ResponseRate:
    """Impressions and answers of one question, of all customers; `kind` is the mean rate of questions of its type."""

    shown: int = 0
    answered: int = 0
    kind: float = INITIAL_RATE


def chance_of_answer(rate: ResponseRate, person: float, passes: int, recent_impressions: int) -> float:
    """Return the probability of an answer, from 0 to 1; `person` comes from `person_effect`.

    The rate of a question is pulled towards the rate of its type, and that of a customer towards all customers. Passes of
    this question and impressions of the last month make an answer less likely.
    """
    of_question = logit((rate.answered + RATE_PULL * rate.kind) / (rate.shown + RATE_PULL))
    return sigmoid(of_question + person - PER_PASS * passes - PER_IMPRESSION * recent_impressions)


def person_effect(impressions: Sequence[tuple[bool, float]]) -> float:
    """Return one Newton step over a customer's impressions: (answered, predicted chance); 0.0 without any."""
    surprise = sum(answered - chance for answered, chance in impressions)
    certainty = sum(chance * (1 - chance) for _, chance in impressions)
    return surprise / (certainty + 1 / PERSON_SPREAD**2)


def logit(p: float) -> float:
    p = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-min(max(z, -50.0), 50.0)))


@dataclass(frozen=True)
class ModelBundle:
    """All inputs of selection besides the customer: segments and features, the learned mixture, the response rates.

    `entropy` is that of a customer without any known answer, in bits.
    """

    space: FeatureSpace
    mixture: Mixture
    rates: dict[str, ResponseRate]
    entropy: float
    version: str

    @property
    def shown(self) -> int:
        """Return how many questions were shown to all customers."""
        return sum(rate.shown for rate in self.rates.values())
