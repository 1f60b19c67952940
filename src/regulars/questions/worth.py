"""What an answer is worth: the bits of doubt about segments that it is expected to settle. Plain numpy.

A segment that is an AND of sets (`gender:female AND age_band:(25-34 OR 35-44)`) is reckoned exactly. Any other shape is
reckoned over sampled completions of the customer, judged by whatever evaluates the segment anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .mixture import Floats, Ints, Mixture

SAMPLES = 256
TINY = 1e-12
Evidence = Sequence[Floats]  # per attribute, in 0..1: all ones = unknown, one-hot = known, between = a source's word


@dataclass(frozen=True)
class Sets:
    """True when every attribute named has one of its allowed answers: {k: boolean vector over answers}."""

    allowed: dict[int, Floats]
    weight: float = 1.0
    factor: float = 1.0  # for what the condition says beyond the columns


@dataclass(frozen=True)
class Shape:
    """Any other condition: `holds` says of whole rows (n x K) whether it is true of each."""

    holds: Callable[[Ints], Floats]
    weight: float = 1.0
    factor: float = 1.0


Target = Sets | Shape


@dataclass(frozen=True)
class Worth:
    """Per target: how likely now, and bits of doubt now. Per question asked about: bits an answer is expected to settle
    for each target, and the doubt that would remain after each answer (summed over the targets, weighted)."""

    likely: Floats
    doubts: Floats
    bits: dict[int, Floats]
    after: dict[int, Floats]
    answers: dict[int, Floats]  # how likely each answer is

    @property
    def doubt(self) -> float:
        return float(self.doubts.sum())

    def of(self, question: int) -> float:
        return float(self.bits[question].sum())

    def settles(self, question: int, sure: float) -> float:
        """The chance of an answer that leaves at most `sure` bits of doubt."""
        return float(self.answers[question] @ (self.after[question] <= sure))


def nothing_known(cards: Sequence[int]) -> list[Floats]:
    return [np.ones(card) for card in cards]


def one_hot(card: int, answer: int, reliability: float = 1.0) -> Floats:
    """A source that is right `reliability` of the time said `answer`."""
    if card == 1:
        return np.ones(1)
    evidence = np.full(card, (1 - reliability) / (card - 1))
    evidence[answer] = reliability
    return evidence


def entropy(p: Floats) -> Floats:
    """Bits of doubt in a yes/no that is yes with probability p."""
    p = np.clip(p, TINY, 1 - TINY)
    doubt: Floats = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return doubt


def worth(
    mixture: Mixture,
    targets: Sequence[Target],
    evidence: Evidence,
    questions: Sequence[int],
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Worth:
    """What asking about each of the attributes `questions` is worth for a customer of whom `evidence` is known."""
    believed = _Belief(mixture, evidence)
    weights = np.array([target.weight for target in targets])
    factors = np.array([target.factor for target in targets])
    exact = _Exact(believed, [(j, each) for j, each in enumerate(targets) if isinstance(each, Sets)], len(targets))
    shapes = [(j, each) for j, each in enumerate(targets) if isinstance(each, Shape)]
    sampled = _Sampled(believed, shapes, samples, seed) if shapes else None
    now = exact.now
    if sampled:
        now[[j for j, _ in shapes]] = sampled.now
    now = now * factors
    doubts = weights * entropy(now)
    bits, after, answers = {}, {}, {}
    for question in questions:
        then = exact.after(question)
        if sampled:
            then[[j for j, _ in shapes]] = sampled.after(question)
        left = weights[:, None] * entropy(then * factors[:, None])
        after[question] = left.sum(0)
        answers[question] = believed.next_answer(question)
        bits[question] = np.maximum(doubts - left @ answers[question], 0.0)
    return Worth(now, doubts, bits, after, answers)


class _Belief:
    """Which type she is likely to be, and what she is likely to answer."""

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

    def next_answer(self, question: int) -> Floats:
        answer: Floats = self.types @ self.tables[question]
        return answer

    def types_after(self, question: int) -> Floats:
        """Types x answers: who she would be, had she answered so."""
        joint = self.types[:, None] * self.tables[question]
        types: Floats = joint / np.maximum(joint.sum(0), TINY)
        return types


class _Exact:
    def __init__(self, believed: _Belief, targets: list[tuple[int, Sets]], count: int) -> None:
        self.believed = believed
        self.targets = targets
        self.factors: dict[tuple[int, int], Floats] = {}
        self.within = np.ones((len(believed.types), count))
        for j, target in targets:
            for k, allowed in target.allowed.items():
                self.factors[j, k] = believed.tables[k] @ allowed
                self.within[:, j] *= self.factors[j, k]
        self.now: Floats = np.clip(believed.types @ self.within, 0.0, 1.0)

    def after(self, question: int) -> Floats:
        """Targets x answers: how likely each target would be. Only the question's own factor turns into yes or no."""
        types = self.believed.types_after(question)
        then: Floats = self.within.T @ types
        for j, target in self.targets:
            if question in target.allowed:
                others = np.ones(len(self.believed.types))
                for k in target.allowed:
                    if k != question:
                        others = others * self.factors[j, k]
                then[j] = (others @ types) * target.allowed[question]
        return np.clip(then, 0.0, 1.0)


class _Sampled:
    """Completions of this customer, evaluated once per target and grouped by the answer to each question."""

    def __init__(self, believed: _Belief, shapes: list[tuple[int, Shape]], samples: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        types = rng.choice(len(believed.types), samples, p=believed.types)
        drawn = [_draw(table[types], rng.random(samples)) for table in believed.tables]
        self.rows: Ints = np.stack(drawn, 1) if drawn else np.zeros((samples, 0), int)
        self.cards = [table.shape[1] for table in believed.tables]
        self.flags: Floats = np.stack([np.asarray(shape.holds(self.rows), float) for _, shape in shapes])
        self.now: Floats = self.flags.mean(1)

    def after(self, question: int) -> Floats:
        """One pseudo-completion that says "as before" keeps rare answers from looking certain."""
        groups = np.eye(self.cards[question])[self.rows[:, question]]
        then: Floats = (self.flags @ groups + self.now[:, None]) / (groups.sum(0) + 1.0)
        return then


def _draw(chances: Floats, dice: Floats) -> Ints:
    drawn: Ints = np.minimum((dice[:, None] > chances.cumsum(1)).sum(1), chances.shape[1] - 1)
    return drawn
