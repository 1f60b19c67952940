"""The claim of the benchmark, in small: fewer questions than any one order for everybody, and no fewer right."""

from __future__ import annotations

import pytest
from benchmarks._people import fair, shop
from benchmarks.next_question import ask_people_who_may_pass, ask_until_sure, draw


@pytest.fixture(scope="module")
def drawing():
    return draw(shop(), seed=0, count=25)


def test_selection_needs_fewer_questions_than_any_fixed_order(drawing):
    ours, fixed, static = (ask_until_sure(drawing, policy) for policy in ("ours", "fixed", "static"))

    assert ours.questions < 0.7 * fixed.questions
    assert ours.questions < 0.85 * static.questions
    assert ours.placed >= 0.9


def test_where_people_may_refuse_ours_is_passed_less_and_learns_more_per_ask(drawing):
    ours, fixed = (ask_people_who_may_pass(drawing, policy, seed=0) for policy in ("ours", "fixed"))

    assert ours.passes < 0.75 * fixed.passes
    assert ours.bits > 1.4 * fixed.bits


def test_the_survey_is_there_without_a_network():
    people = fair()

    assert people.rows.shape == (6366, 9)
    assert people.truth(people.rows[:50]).shape == (50, 8)
