"""What an answer is worth, over worlds small enough to reckon by hand and over the simulated shop.

`test_unit_01` to `11` are what the reckoning promises; 06 and 10 go through the chooser too (`test_chooser.py`), 09 and 11
are about the model (`test_mixture.py`).
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from benchmarks._people import shop
from hypothesis import given, settings
from hypothesis import strategies as st

from regulars.questions.features import ConjunctiveTarget, PredicateTarget, no_evidence, one_hot
from regulars.questions.model import Mixture, fit, uniform
from regulars.questions.scoring import binary_entropy, expected_information_gain

CARDS = [2, 3, 4, 2]
WANTED = ConjunctiveTarget({0: np.array([1.0, 0.0]), 1: np.array([0.0, 1.0, 1.0])})
OTHER = ConjunctiveTarget({1: np.array([1.0, 0.0, 0.0]), 2: np.array([1.0, 1.0, 0.0, 0.0])})


def some_mixture(seed: int, types: int = 3) -> Mixture:
    rng = np.random.default_rng(seed)
    return Mixture(rng.dirichlet(np.ones(types)), tuple(rng.dirichlet(np.ones(card), types) for card in CARDS))


def some_evidence(seed: int):
    rng = np.random.default_rng(seed)
    return [one_hot(card, int(rng.integers(card))) if rng.random() < 0.4 else np.ones(card) for card in CARDS]


def as_predicate(target: ConjunctiveTarget) -> PredicateTarget:
    return PredicateTarget(lambda rows: np.prod([allowed[rows[:, k]] for k, allowed in target.allowed.items()], axis=0))


@pytest.fixture(scope="module")
def people():
    return shop()


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_unit_01_no_answer_is_worth_less_than_nothing(model, known):
    gain = expected_information_gain(some_mixture(model), [WANTED, OTHER], some_evidence(known), range(4))

    assert all(gain.of(question) >= 0 for question in range(4))


def test_unit_02_a_question_no_segment_touches_is_worth_nothing_with_one_type():
    gain = expected_information_gain(some_mixture(1, types=1), [WANTED, OTHER], no_evidence(CARDS), range(4))

    assert gain.of(3) == pytest.approx(0, abs=1e-9)
    assert gain.of(0) > 0.01


def test_with_types_a_question_outside_all_segments_may_gain_bits():
    assert expected_information_gain(some_mixture(1), [WANTED, OTHER], no_evidence(CARDS), [3]).of(3) > 0


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_unit_03_after_all_answers_no_entropy_is_left(model, answers):
    rng = np.random.default_rng(answers)
    evidence = [one_hot(card, int(rng.integers(card))) for card in CARDS]
    gain = expected_information_gain(some_mixture(model), [WANTED, OTHER], evidence, range(4))

    assert sum(gain.of(question) for question in range(4)) == pytest.approx(0, abs=1e-6)
    assert gain.entropy == pytest.approx(0, abs=1e-6)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_bits_of_a_question_are_the_entropy_now_less_that_expected_after(model, known):
    mixture, evidence = some_mixture(model), some_evidence(known)
    gain = expected_information_gain(mixture, [WANTED, OTHER], evidence, [2])
    types = expected_information_gain(mixture, [], evidence, [])  # no targets: no entropy
    after = 0.0
    for answer in range(4):
        then = [each if k != 2 else each * np.eye(4)[answer] for k, each in enumerate(evidence)]
        if then[2].sum():
            share = _share(mixture, evidence, 2, answer)
            after += share * expected_information_gain(mixture, [WANTED, OTHER], then, []).entropy

    assert types.entropy == 0
    assert gain.of(2) == pytest.approx(max(gain.entropy - after, 0), abs=1e-9)


def _share(mixture, evidence, question, answer):
    weights = mixture.shares.copy()
    for k, table in enumerate(mixture.answers):
        weights = weights * (table @ evidence[k])
    weights /= weights.sum()
    seen = mixture.answers[question] * evidence[question]
    return float(weights @ (seen[:, answer] / seen.sum(1)))


def test_unit_04_exact_and_sampled_agree(people):
    mixture = fit(people.rows[:2000], people.cards, 4)
    questions = range(len(people.cards))
    exact = expected_information_gain(mixture, people.targets, no_evidence(people.cards), questions)
    sampled = expected_information_gain(
        mixture, [as_predicate(t) for t in people.targets], no_evidence(people.cards), questions, samples=100_000
    )

    assert max(abs(exact.of(question) - sampled.of(question)) for question in questions) < 0.01


def test_unit_05_permuting_the_answers_changes_nothing():
    mixture, order = some_mixture(7), [2, 0, 1]
    permuted = Mixture(mixture.shares, (mixture.answers[0], mixture.answers[1][:, order], *mixture.answers[2:]))
    moved = [ConjunctiveTarget({k: a[order] if k == 1 else a for k, a in t.allowed.items()}) for t in (WANTED, OTHER)]
    before = expected_information_gain(mixture, [WANTED, OTHER], no_evidence(CARDS), range(4))
    after = expected_information_gain(permuted, moved, no_evidence(CARDS), range(4))

    assert [before.of(k) for k in range(4)] == pytest.approx([after.of(k) for k in range(4)])


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_unit_06_what_is_known_is_worth_nothing(model):
    evidence = [one_hot(2, 1), *no_evidence(CARDS)[1:]]

    assert expected_information_gain(some_mixture(model), [WANTED, OTHER], evidence, [0]).of(0) == pytest.approx(
        0, abs=1e-9
    )


def test_unit_07_the_only_attribute_of_the_only_segment_comes_first():
    only = ConjunctiveTarget({2: np.array([1.0, 0.0, 0.0, 0.0])})
    gain = expected_information_gain(uniform(CARDS), [only], no_evidence(CARDS), range(4))

    assert max(range(4), key=gain.of) == 2
    assert gain.of(2) == pytest.approx(float(binary_entropy(np.array(0.25))))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 2))
def test_unit_08_a_source_that_is_always_right_is_as_good_as_knowing(model, answer):
    known, gain = np.zeros(3), one_hot(3, answer, reliability=1.0)
    known[answer] = 1.0
    rest = no_evidence(CARDS)
    mixture = some_mixture(model)
    one = expected_information_gain(mixture, [WANTED, OTHER], [rest[0], known, *rest[2:]], range(4))
    other = expected_information_gain(mixture, [WANTED, OTHER], [rest[0], gain, *rest[2:]], range(4))

    assert [one.of(k) for k in range(4)] == pytest.approx([other.of(k) for k in range(4)])


def test_the_less_a_source_is_to_be_trusted_the_more_confirming_is_worth():
    rest = no_evidence(CARDS)
    bits = [
        expected_information_gain(uniform(CARDS), [OTHER], [rest[0], one_hot(3, 0, reliability), *rest[2:]], [1]).of(1)
        for reliability in (0.99, 0.9, 0.65)
    ]

    assert bits == sorted(bits)
    assert bits[0] > 0


def test_unit_10_a_segment_without_weight_counts_nothing():
    weightless = ConjunctiveTarget(WANTED.allowed, weight=0.0)

    assert expected_information_gain(some_mixture(3), [weightless], no_evidence(CARDS), range(4)).of(1) == 0


def test_a_decision_costs_a_login_next_to_nothing(people):
    """Half a millisecond on a machine at rest (`scripts/bench next-question` measures); here with a margin for a busy one."""
    mixture = fit(people.rows[:1000], people.cards, 8)
    taken = []
    for _ in range(10):
        began = time.thread_time()
        for _ in range(20):
            expected_information_gain(mixture, people.targets, no_evidence(people.cards), range(len(people.cards)))
        taken.append((time.thread_time() - began) / 20)

    assert min(taken) < 0.01
