"""Segments in the ordinary language become sets over columns where they can, and are sampled where they cannot."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from regulars.base.conditions import EventSeen, Person
from regulars.questions.features import (
    UNKNOWN,
    ConjunctiveTarget,
    FeatureSpace,
    FeatureSpec,
    PredicateTarget,
    TargetSegment,
    prior_shares,
)
from regulars.questions.model import uniform
from regulars.questions.scoring import expected_information_gain

NOW = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
CLOSED = (("gender", ("female", "male", "other")), ("age_band", ("18-24", "25-34", "35-44")))


def space(*texts: str, lists=(), opened=()) -> FeatureSpace:
    return FeatureSpace(
        FeatureSpec(
            tuple(TargetSegment(f"s{n}", text, "measure") for n, text in enumerate(texts)), CLOSED, lists, opened
        )
    )


def target(text: str, person: Person | None = None, **columns):
    [(_, found)] = space(text, **columns).targets("measure", person or Person({}), NOW)
    return found


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("gender:female", {0: [1, 0, 0]}),
        ("gender:female AND age_band:(25-34 OR 35-44)", {0: [1, 0, 0], 1: [0, 1, 1]}),
        ("gender:female AND NOT age_band:18-24", {0: [1, 0, 0], 1: [0, 1, 1]}),
        ("gender:(female OR male) AND gender:(male OR other)", {0: [0, 1, 0]}),
    ],
)
def test_an_and_of_sets_is_reckoned_exactly(text, allowed):
    found = target(text)

    assert isinstance(found, ConjunctiveTarget)
    assert {k: list(each) for k, each in found.allowed.items()} == allowed


def test_any_other_shape_is_judged_by_the_ordinary_evaluator():
    found = target("gender:female OR age_band:18-24")

    assert isinstance(found, PredicateTarget)
    assert list(found.holds(np.array([[0, 2], [1, 0], [1, 2]]))) == [1, 1, 0]


def test_a_shape_is_worth_the_same_as_the_sets_it_stands_for():
    exact, sampled = target("gender:female AND age_band:25-34"), target("NOT (NOT gender:female OR NOT age_band:25-34)")
    bits = [
        expected_information_gain(uniform([3, 3]), [each], [np.ones(3)] * 2, [0], samples=20_000).of(0)
        for each in (exact, sampled)
    ]

    assert isinstance(sampled, PredicateTarget)
    assert bits[0] == pytest.approx(bits[1], abs=0.01)


def test_behaviour_is_a_constant_of_the_customer():
    text = 'gender:female AND did("Order Completed" in 90d):>=1'
    bought = Person({}, lambda name: [EventSeen(NOW, {})])

    assert space(text).targets("measure", Person({}), NOW) == []
    assert target(text, bought).factor == 1


def test_part_that_cannot_be_asked_halves_the_probability():
    assert target("gender:female AND consent:measure", Person({"consent": ["s:measure"]})).factor == 1
    assert target("gender:female AND favourite_boat:Lotta").factor == 0.5


def test_a_list_is_one_yes_or_no_per_value():
    found = target("interests:shoes AND gender:male", lists=(("interests", ("shoes", "coats")),))

    assert isinstance(found, ConjunctiveTarget)
    assert {k: list(each) for k, each in found.allowed.items()} == {0: [0, 1, 0], 2: [0, 1]}


def test_open_attribute_has_the_answers_its_segments_distinguish():
    built = space("country:(PT OR ES)", "country:PT", opened=("country",))

    assert [column.attribute for column in built.features] == ["gender", "age_band", "country"]
    assert built.cardinalities[2] == 3
    assert built.row({"country": ["s:FR"]}, NOW)[2] not in (
        UNKNOWN,
        *(built.row({"country": [f"s:{c}"]}, NOW)[2] for c in ("PT", "ES")),
    )


def test_numbers_are_distinguished_at_the_bounds():
    built = space("size:[38 TO 42]", "size:[42 TO *]", opened=("size",))
    rows = {number: built.row({"size": [f"n:{number}"]}, NOW)[2] for number in (10, 38, 40, 42, 99)}

    assert rows[38] == rows[40]
    assert len(set(rows.values())) == 4


def test_a_segment_of_another_purpose_is_no_aim_here():
    assert space("gender:female").targets("message", Person({}), NOW) == []


def test_typed_shares_are_kept_and_the_rest_is_spread_evenly():
    gender = space().features[0]

    assert list(prior_shares(gender, {"gender": {"female": 0.6}})) == pytest.approx([0.6, 0.2, 0.2])
    assert list(prior_shares(gender, {})) == pytest.approx([1 / 3] * 3)
