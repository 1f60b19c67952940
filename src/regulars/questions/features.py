"""Feature space of question selection: attributes as categorical features, segments as targets over them.

A feature is one attribute with the answers that can be distinguished. A list attribute (`interests`) becomes one yes/no
feature per member. Everything else that a segment mentions (behaviour, free text) is constant for one customer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from regulars.base import clock
from regulars.base.conditions import Condition, Person, holds, mentions, parse, terms_of
from regulars.base.conditions.document_terms import Terms, as_number
from regulars.base.conditions.tree import And, Between, Equals, walk

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Evidence = Sequence[Floats]  # per feature, in 0..1: all ones = unknown, one-hot = known, between = an unsure source
Priors = Mapping[str, Mapping[str, float]]  # shares known to an operator: {"gender": {"female": 0.6}}

UNKNOWN = -1
OTHER = "\ue000"  # any other answer of an open attribute: a private-use character, which no value contains
MAX_ANSWERS = 24
UNKNOWN_PART = 0.5  # probability of a part of a condition that is neither known nor askable


@dataclass(frozen=True)
class Feature:
    """`answers` are the terms that each answer gives; `member` names the value of a list attribute."""

    attribute: str
    answers: tuple[tuple[str, ...], ...]
    member: str = ""

    @property
    def cardinality(self) -> int:
        return len(self.answers)

    @property
    def name(self) -> str:
        return f"{self.attribute}={self.member}" if self.member else self.attribute


@dataclass(frozen=True)
class TargetSegment:
    """A segment that answers may settle: its condition (without references to segments), purpose and importance."""

    slug: str
    text: str
    purpose: str
    weight: float = 1.0


@dataclass(frozen=True)
class FeatureSpec:
    """Everything a feature space is built from; hashable, so that each space is built once per change.

    `closed` are attributes with their answers as JSON scalars, `lists` those whose value is a list of them, `open` are
    askable attributes of any value: their answers are what the segments distinguish. `day` because "30 days ago" moves.
    """

    segments: tuple[TargetSegment, ...] = ()
    closed: tuple[tuple[str, tuple[str | int | bool, ...]], ...] = ()
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()
    open: tuple[str, ...] = ()
    day: dt.date | None = None


@dataclass(frozen=True)
class ConjunctiveTarget:
    """True when every feature named has one of its allowed answers: {feature: boolean vector over its answers}."""

    allowed: dict[int, Floats]
    weight: float = 1.0
    factor: float = 1.0  # probability of the parts of the condition beyond the features


@dataclass(frozen=True)
class PredicateTarget:
    """Any other condition: `holds` evaluates it for whole rows (n x features)."""

    holds: Callable[[Ints], Floats]
    weight: float = 1.0
    factor: float = 1.0


SelectionTarget = ConjunctiveTarget | PredicateTarget


@dataclass(frozen=True)
class _CompiledSegment:
    """A condition taken apart: allowed answers per feature, parts constant for one customer, and the remaining parts."""

    segment: TargetSegment
    allowed: tuple[tuple[int, tuple[bool, ...]], ...]
    constants: tuple[Condition, ...]
    rest: Condition | None
    rest_features: tuple[int, ...] = ()


class FeatureSpace:
    """Features and compiled segments. Holds no personal data."""

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        conditions = [(segment, parse(segment.text)) for segment in spec.segments]
        self.parts_by_field: dict[str, list[Condition]] = {}  # every comparison, by the field it is about
        for node in (node for _, condition in conditions for node in walk(condition)):
            fields = mentions(node).fields if not hasattr(node, "parts") and not hasattr(node, "part") else ()
            for name in fields:
                if node not in self.parts_by_field.setdefault(name, []):
                    self.parts_by_field[name].append(node)
        self.features = self._features()
        self.by_attribute: dict[str, list[int]] = {}
        for k, feature in enumerate(self.features):
            self.by_attribute.setdefault(feature.attribute, []).append(k)
        self.compiled = [self._compile(segment, condition) for segment, condition in conditions]
        self.conditions = tuple(condition for _, condition in conditions)

    @property
    def cardinalities(self) -> list[int]:
        return [feature.cardinality for feature in self.features]

    @property
    def purposes(self) -> list[str]:
        return sorted({segment.purpose for segment in self.spec.segments})

    def row(self, terms: Terms, now: dt.datetime) -> list[int]:
        """Return the answer of every feature that these terms give; `UNKNOWN` where they give none."""
        return [self._answer(feature, terms.get(feature.attribute), now) for feature in self.features]

    def evidence(self, terms: Terms, now: dt.datetime) -> list[Floats]:
        """Return `row` as evidence for scoring."""
        pairs = zip(self.cardinalities, self.row(terms, now), strict=True)
        return [np.ones(size) if answer == UNKNOWN else one_hot(size, answer) for size, answer in pairs]

    def targets(self, purpose: str, person: Person, now: dt.datetime) -> list[tuple[TargetSegment, SelectionTarget]]:
        """Return the segments of one purpose for one customer, without those that known data rules out."""
        found: list[tuple[TargetSegment, SelectionTarget]] = []
        for each in self.compiled:
            if each.segment.purpose != purpose or each.segment.weight <= 0:
                continue
            truths = [holds(part, person, now) for part in each.constants]
            if False in truths:
                continue
            factor = UNKNOWN_PART ** truths.count(None)
            found.append((each.segment, self._target(each, factor, person, now)))
        return found

    def _features(self) -> tuple[Feature, ...]:
        features = [
            Feature(name, tuple(tuple(terms_of({name: value}).get(name, ())) for value in values))
            for name, values in self.spec.closed
        ]
        for name, members in self.spec.lists:
            features += [Feature(name, ((), (f"s:{member}",)), member) for member in members]
        for name in self.spec.open:
            answers = _distinguishable(name, self.parts_by_field.get(name, []))
            if len(answers) > 1:
                features.append(Feature(name, answers))
        return tuple(features)

    def _answer(self, feature: Feature, terms: list[str] | None, now: dt.datetime) -> int:
        if not terms:
            return UNKNOWN
        if feature.member:
            return int(f"s:{feature.member}" in terms)
        for number, answer in enumerate(feature.answers):
            if set(answer) & set(terms):
                return number
        if feature.attribute not in self.spec.open:
            return UNKNOWN
        parts = self.parts_by_field[feature.attribute]
        signature = _signature(feature.attribute, tuple(terms), parts, now)
        signatures = [_signature(feature.attribute, answer, parts, now) for answer in feature.answers]
        return signatures.index(signature) if signature in signatures else UNKNOWN

    def _compile(self, segment: TargetSegment, condition: Condition) -> _CompiledSegment:
        allowed: dict[int, tuple[bool, ...]] = {}
        constants, rest = [], []
        for part in condition.parts if isinstance(condition, And) else (condition,):
            askable = [name for name in sorted(mentions(part).fields) if name in self.by_attribute]
            if not askable:
                constants.append(part)
            elif found := self._allowed_answers(part, askable):
                k, truths = found
                allowed[k] = tuple(a and b for a, b in zip(allowed.get(k, (True,) * len(truths)), truths, strict=True))
            else:
                rest.append(part)
        fields = {name for part in rest for name in mentions(part).fields}
        features = tuple(sorted({k for name in fields for k in self.by_attribute.get(name, ())}))
        remaining = And(tuple(rest)) if rest else None
        return _CompiledSegment(segment, tuple(allowed.items()), tuple(constants), remaining, features)

    def _allowed_answers(self, part: Condition, askable: list[str]) -> tuple[int, tuple[bool, ...]] | None:
        """Return the one feature that decides this part, and which of its answers make it true; None for any other part."""
        mentioned = mentions(part)
        if len(mentioned.fields) != 1 or mentioned.events or mentioned.purposes:
            return None
        numbers = self.by_attribute[askable[0]]
        feature, now = self.features[numbers[0]], clock.now()
        if len(numbers) == 1 and not feature.member:
            people = (Person({feature.attribute: list(terms)}) for terms in feature.answers)
            return numbers[0], tuple(holds(part, person, now) is True for person in people)
        if isinstance(part, Equals):
            return next(((k, (False, True)) for k in numbers if self.features[k].member == part.value), None)
        return None

    def _target(self, each: _CompiledSegment, factor: float, person: Person, now: dt.datetime) -> SelectionTarget:
        allowed = {k: np.array(truths, float) for k, truths in each.allowed}
        if each.rest is None:
            return ConjunctiveTarget(allowed, each.segment.weight, factor)
        rest, features = each.rest, each.rest_features

        def evaluate(rows: Ints) -> Floats:
            """Evaluate the condition once for rows that agree in the features it mentions."""
            alike, back = np.unique(rows[:, features], axis=0, return_inverse=True)
            truths = np.array(
                [holds(rest, self._completed(person, features, row), now) is True for row in alike], float
            )
            flags: Floats = truths[back.reshape(-1)]
            for k, allowed_answers in allowed.items():
                flags = flags * allowed_answers[rows[:, k]]
            return flags

        return PredicateTarget(evaluate, each.segment.weight, factor)

    def _completed(self, person: Person, features: Sequence[int], row: Ints) -> Person:
        """Return the customer as if they had given the answers of `row`."""
        terms = dict(person.terms)
        for k in features:
            terms[self.features[k].attribute] = []
        for k, answer in zip(features, row, strict=True):
            feature = self.features[k]
            terms[feature.attribute] = [*terms[feature.attribute], *feature.answers[answer]]
        return Person(terms, person.events)


@lru_cache(maxsize=16)
def feature_space_of(spec: FeatureSpec) -> FeatureSpace:
    return FeatureSpace(spec)


def no_evidence(cardinalities: Sequence[int]) -> list[Floats]:
    return [np.ones(size) for size in cardinalities]


def one_hot(cardinality: int, answer: int, reliability: float = 1.0) -> Floats:
    """Return the evidence of a source that gave `answer` and is right `reliability` of the time."""
    if cardinality == 1:
        return np.ones(1)
    evidence = np.full(cardinality, (1 - reliability) / (cardinality - 1))
    evidence[answer] = reliability
    return evidence


def prior_shares(feature: Feature, priors: Priors) -> Floats:
    """Return the shares an operator entered ("about 60 % women") and spread the rest evenly over the other answers."""
    entered = priors.get(feature.attribute, {})
    given = [next((entered[t[2:]] for t in terms if t[2:] in entered), None) for terms in feature.answers]
    if feature.member:
        share = entered.get(feature.member)
        given = [None, share] if share is not None else [None, None]
    left = max(1.0 - sum(share for share in given if share is not None), 0.0)
    missing = given.count(None)
    shares = np.array([left / missing if share is None else share for share in given])
    shares = np.maximum(shares, 1e-3)
    normal: Floats = shares / shares.sum()
    return normal


def _distinguishable(name: str, parts: Sequence[Condition]) -> tuple[tuple[str, ...], ...]:
    """Return one answer per distinguishable value: the values named, between and beyond them, and any other."""
    literals: set[str] = set()
    for part in parts:
        match part:
            case Equals(_, value):
                literals.add(value)
            case Between(_, low, high):
                literals.update(bound.value for bound in (low, high) if bound)
    texts = sorted(literals)
    numbers = sorted(number for number in (as_number(text) for text in texts) if number is not None)
    between = [(lower + higher) / 2 for lower, higher in pairwise(numbers)]
    beyond = [numbers[0] - 1, numbers[-1] + 1] if numbers else []
    values: list[str | float] = [*numbers, *between, *beyond] if numbers else [*texts, OTHER]
    now, answers, seen = clock.now(), [], set()
    for answer in values:
        terms = tuple(terms_of({name: answer}).get(name, ()))
        signature = _signature(name, terms, parts, now)
        if signature not in seen:
            seen.add(signature)
            answers.append(terms)
    return tuple(answers[:MAX_ANSWERS])


def _signature(
    name: str, terms: tuple[str, ...], parts: Sequence[Condition], now: dt.datetime
) -> tuple[bool | None, ...]:
    """Return the truth of every comparison for a value: two values with one signature cannot be distinguished."""
    return tuple(holds(part, Person({name: list(terms)}), now) for part in parts)
