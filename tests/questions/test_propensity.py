from __future__ import annotations

import pytest

from regulars.questions.model import ResponseRate, chance_of_answer, person_effect


def test_question_never_shown_has_the_rate_of_its_type():
    assert chance_of_answer(ResponseRate(kind=0.7), 0.0, 0, 0) == pytest.approx(0.7)


def test_a_rate_of_few_showings_is_pulled_towards_its_kind_and_one_of_many_is_not():
    few, many = (chance_of_answer(ResponseRate(n, 0, 0.5), 0.0, 0, 0) for n in (2, 2000))

    assert few > 0.4
    assert many < 0.01


def test_passes_and_recent_asks_make_an_answer_less_likely():
    fresh = chance_of_answer(ResponseRate(), 0.0, 0, 0)

    assert fresh > chance_of_answer(ResponseRate(), 0.0, 0, 1) > chance_of_answer(ResponseRate(), 0.0, 1, 1)
    assert chance_of_answer(ResponseRate(), 0.0, 1, 0) == pytest.approx(0.182, abs=0.001)


def test_customer_who_answers_more_than_predicted_has_a_higher_chance():
    assert person_effect([]) == 0
    assert person_effect([(True, 0.5)] * 3) == pytest.approx(1.5 / (0.75 + 1 / 0.64))
    assert person_effect([(False, 0.5)] * 3) < 0
