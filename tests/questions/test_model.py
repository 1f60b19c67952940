from __future__ import annotations

import numpy as np
import pytest
from benchmarks._people import shop

from regulars.questions.features import UNKNOWN
from regulars.questions.model import Mixture, fit, fit_best, uniform

CARDS = [3, 2]


@pytest.fixture(scope="module")
def people():
    return shop(8000)


def with_holes(rows, share=0.7, seed=0):
    holes = np.random.default_rng(seed).random(rows.shape) < share
    return np.where(holes, UNKNOWN, rows)


@pytest.mark.parametrize("types", [1, 4, 8])
def test_unit_09_the_likelihood_never_falls_from_round_to_round(people, types):
    likelihoods: list[float] = []
    fit(with_holes(people.rows[:1000]), people.cards, types, each_round=likelihoods.append)

    assert len(likelihoods) >= 20
    assert min(np.diff(likelihoods)) > -1e-6 * abs(likelihoods[-1])


def test_unit_11_eight_types_predict_unseen_profiles_better_than_one(people):
    """EM rests on a plateau early: stopping there gave the model of one type under another name."""
    train, test = people.rows[:5000], people.rows[5000:7000]
    one, eight = (fit(train, people.cards, types).log_likelihood(test).mean() for types in (1, 8))

    assert eight > one + 1


def test_few_profiles_are_explained_by_few_types(people):
    assert fit_best(with_holes(people.rows[:40], 0.9), people.cards).types <= 2


def test_a_thousand_profiles_full_of_holes_show_several_types(people):
    assert fit_best(with_holes(people.rows[:1000]), people.cards).types >= 4


def test_no_rows_give_a_model_of_equal_shares():
    model = fit(np.zeros((0, 2), int), CARDS, 1)

    assert model.answers[0] == pytest.approx(uniform(CARDS).answers[0])


def test_entered_share_weighs_as_much_as_twenty_profiles():
    typed = np.array([0.6, 0.2, 0.2])
    none = fit(np.full((1, 2), UNKNOWN), CARDS, 1, priors=[typed, None])
    twenty = fit(np.array([[1, UNKNOWN]] * 20), CARDS, 1, priors=[typed, None])

    assert none.answers[0][0] == pytest.approx(typed)
    assert twenty.answers[0][0, 1] == pytest.approx(0.6)


def test_a_model_survives_being_written_down(people):
    model = fit(people.rows[:500], people.cards, 4)
    again = Mixture.from_json(model.as_json())

    assert again.log_likelihood(people.rows[:50]) == pytest.approx(model.log_likelihood(people.rows[:50]), abs=1e-3)
