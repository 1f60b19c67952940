"""Score questions by the expected information gain of an answer about segments, in bits.

A segment that is an AND of sets (`gender:female AND age_band:(25-34 OR 35-44)`) is computed exactly. Any other condition is
estimated over sampled completions of the customer, evaluated by the evaluator of segments.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from regulars.base.conditions import EventSeen, Person
from regulars.base.conditions.document_terms import CONSENT_PATH, Terms, terms_of

from .features import (
    UNKNOWN,
    ConjunctiveTarget,
    Evidence,
    FeatureSpace,
    Floats,
    Ints,
    PredicateTarget,
    SelectionTarget,
    one_hot,
)
from .model import Mixture, ModelBundle

SAMPLES = 256
TINY = 1e-12


def score(value: float, chance: float, price: float) -> float:
    """Return the bits to gain less the price of a pass, each weighted by its probability."""
    return chance * value - price * (1 - chance)


@dataclass(frozen=True)
class InformationGain:
    """Probability and entropy of each target now; expected gain and remaining entropy per feature asked about.

    `bits` is the expected gain per target. `after` is the entropy that would remain after each answer (summed over the
    targets, weighted). `answers` is the probability of each answer.
    """

    probabilities: Floats
    entropies: Floats
    bits: dict[int, Floats]
    after: dict[int, Floats]
    answers: dict[int, Floats]

    @property
    def entropy(self) -> float:
        return float(self.entropies.sum())

    def of(self, feature: int) -> float:
        return float(self.bits[feature].sum())

    def chance_to_settle(self, feature: int, threshold: float) -> float:
        """Return the probability of an answer that leaves at most `threshold` bits of entropy."""
        return float(self.answers[feature] @ (self.after[feature] <= threshold))


def binary_entropy(p: Floats) -> Floats:
    """Return the bits of entropy of a yes/no that is yes with probability p."""
    p = np.clip(p, TINY, 1 - TINY)
    entropy: Floats = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return entropy


def expected_information_gain(
    mixture: Mixture,
    targets: Sequence[SelectionTarget],
    evidence: Evidence,
    features: Sequence[int],
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> InformationGain:
    """Return what an answer about each of `features` is expected to settle about the targets, given `evidence`."""
    posterior = _Posterior(mixture, evidence)
    weights = np.array([target.weight for target in targets])
    factors = np.array([target.factor for target in targets])
    conjunctive = [(j, each) for j, each in enumerate(targets) if isinstance(each, ConjunctiveTarget)]
    predicates = [(j, each) for j, each in enumerate(targets) if isinstance(each, PredicateTarget)]
    exact = _ExactTargets(posterior, conjunctive, len(targets))
    sampled = _SampledTargets(posterior, predicates, samples, seed) if predicates else None
    now = exact.now
    if sampled:
        now[[j for j, _ in predicates]] = sampled.now
    now = now * factors
    entropies = weights * binary_entropy(now)
    bits, after, answers = {}, {}, {}
    for feature in features:
        then = exact.after(feature)
        if sampled:
            then[[j for j, _ in predicates]] = sampled.after(feature)
        left = weights[:, None] * binary_entropy(then * factors[:, None])
        after[feature] = left.sum(0)
        answers[feature] = posterior.types @ posterior.tables[feature]
        bits[feature] = np.maximum(entropies - left @ answers[feature], 0.0)
    return InformationGain(now, entropies, bits, after, answers)


class _Posterior:
    """Probabilities of the customer's type, and of their answers per type, given the evidence."""

    def __init__(self, mixture: Mixture, evidence: Evidence) -> None:
        self.tables: list[Floats] = []
        log_weights = np.log(mixture.shares)
        for table, seen in zip(mixture.answers, evidence, strict=True):
            joint = table * seen
            total = joint.sum(1)
            log_weights = log_weights + np.log(np.maximum(total, TINY))
            self.tables.append(joint / np.maximum(total, TINY)[:, None])
        weights = np.exp(log_weights - log_weights.max())
        self.types: Floats = weights / weights.sum()

    def types_after(self, feature: int) -> Floats:
        """Return types x answers: the probability of each type after each answer."""
        joint = self.types[:, None] * self.tables[feature]
        types: Floats = joint / np.maximum(joint.sum(0), TINY)
        return types


class _ExactTargets:
    """Conjunctive targets: within one type the features are independent, so their probabilities multiply."""

    def __init__(self, posterior: _Posterior, targets: list[tuple[int, ConjunctiveTarget]], count: int) -> None:
        self.posterior = posterior
        self.targets = targets
        self.factors: dict[tuple[int, int], Floats] = {}
        self.within = np.ones((len(posterior.types), count))
        for j, target in targets:
            for k, allowed in target.allowed.items():
                self.factors[j, k] = posterior.tables[k] @ allowed
                self.within[:, j] *= self.factors[j, k]
        self.now: Floats = np.clip(posterior.types @ self.within, 0.0, 1.0)

    def after(self, feature: int) -> Floats:
        """Return targets x answers: each target's probability. Only the feature's own factor becomes certain."""
        types = self.posterior.types_after(feature)
        then: Floats = self.within.T @ types
        for j, target in self.targets:
            if feature in target.allowed:
                others = np.ones(len(self.posterior.types))
                for k in target.allowed:
                    if k != feature:
                        others = others * self.factors[j, k]
                then[j] = (others @ types) * target.allowed[feature]
        return np.clip(then, 0.0, 1.0)


class _SampledTargets:
    """Completions of this customer, evaluated once per target and grouped by the answer to each feature."""

    def __init__(
        self, posterior: _Posterior, targets: list[tuple[int, PredicateTarget]], samples: int, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        types = rng.choice(len(posterior.types), samples, p=posterior.types)
        drawn = []
        for table in posterior.tables:
            cumulative = table[types].cumsum(1)
            beyond = (rng.random(samples)[:, None] > cumulative).sum(1)
            drawn.append(np.minimum(beyond, table.shape[1] - 1))
        self.rows: Ints = np.stack(drawn, 1) if drawn else np.zeros((samples, 0), int)
        self.cardinalities = [table.shape[1] for table in posterior.tables]
        self.flags: Floats = np.stack([np.asarray(target.holds(self.rows), float) for _, target in targets])
        self.now: Floats = self.flags.mean(1)

    def after(self, feature: int) -> Floats:
        """Return targets x answers. One pseudo-completion "as before" keeps rare answers from looking certain."""
        groups = np.eye(self.cardinalities[feature])[self.rows[:, feature]]
        then: Floats = (self.flags @ groups + self.now[:, None]) / (groups.sum(0) + 1.0)
        return then


@dataclass(frozen=True)
class ConfirmableValue:
    """A value to confirm and its reliability (0..1): the lower, the more the customer's confirmation is worth."""

    value: str | int | float
    reliability: float


@dataclass(frozen=True)
class UsableData:
    """What may be used of one customer: terms by purpose, and their events by name."""

    terms: dict[str, Terms]
    events: Callable[[str], Sequence[EventSeen]] = lambda name: ()

    def person(self, purpose: str) -> Person:
        return Person(self.terms.get(purpose, {}), self.events)

    def is_open(self, purpose: str) -> bool:
        return any(f"s:{purpose}" in terms.get(CONSENT_PATH, ()) for terms in self.terms.values())


@dataclass(frozen=True)
class ScorableQuestion:
    """One question: the attribute it fills, the purposes that an answer may serve, and the value it asks to confirm."""

    key: str
    attribute: str
    purposes: frozenset[str]
    to_confirm: ConfirmableValue | None = None


@dataclass
class QuestionValue:
    """Expected gain per segment, the entropy now, and the entropy left after each answer (by term)."""

    bits: dict[str, float] = field(default_factory=dict)
    before: float = 0.0
    after: dict[str, float] = field(default_factory=dict)

    @property
    def value(self) -> float:
        return sum(self.bits.values())

    def gained(self, attribute: str, answer: object) -> float:
        """Return the bits that this answer settled (negative when it raised the entropy).

        The expected gain when the answers were not distinguished.
        """
        terms = terms_of({attribute: answer}).get(attribute, [""])
        return self.before - self.after[terms[0]] if terms[0] in self.after else self.value


def value_questions(
    questions: Sequence[ScorableQuestion], bundle: ModelBundle, data: UsableData, now: dt.datetime, *, seed: int = 0
) -> dict[str, QuestionValue]:
    """Return question key → value. A segment whose purpose the answer may not serve does not count."""
    found = {question.key: QuestionValue() for question in questions}
    space = bundle.space
    for purpose in space.purposes:
        serving = [question for question in questions if purpose in question.purposes]
        features = sorted({k for each in serving for k in space.by_attribute.get(each.attribute, ())})
        targets = space.targets(purpose, data.person(purpose), now)
        if not features or not targets:
            continue
        evidence = space.evidence(data.terms.get(purpose, {}), now)
        for question in serving:
            if given := question.to_confirm:
                # It is the evidence of an unsure source: that gives its confirmation a value.
                row = space.row(terms_of({question.attribute: given.value}), now)
                for k in space.by_attribute.get(question.attribute, ()):
                    if row[k] != UNKNOWN:
                        evidence[k] = one_hot(space.features[k].cardinality, row[k], given.reliability)
        gain = expected_information_gain(
            bundle.mixture, [target for _, target in targets], evidence, features, seed=seed
        )
        slugs = [segment.slug for segment, _ in targets]
        for question in serving:
            _add(found[question.key], slugs, gain, space, space.by_attribute.get(question.attribute, ()))
    return found


def _add(
    value: QuestionValue, slugs: list[str], gain: InformationGain, space: FeatureSpace, features: Sequence[int]
) -> None:
    """Add the gain of one purpose. Several features of one question (a list's members) settle at most all entropy."""
    value.before += gain.entropy
    if not features:
        return
    bits = np.minimum(sum(gain.bits[k] for k in features), gain.entropies)
    for slug, each in zip(slugs, bits, strict=True):
        if each > 0:
            value.bits[slug] = value.bits.get(slug, 0.0) + float(each)
    if len(features) == 1:
        for terms, left in zip(space.features[features[0]].answers, gain.after[features[0]], strict=True):
            for term in terms[:1]:
                value.after[term] = value.after.get(term, value.before - gain.entropy) + float(left)
