from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.questions.policy import (
    CUSTOMER_RULES,
    QUESTION_RULES,
    REJECTION_SENTENCES,
    SENTENCES,
    Candidate,
    Caps,
    CustomerExposure,
    NotShown,
    Policy,
    QuestionExposure,
    RandomDraw,
    Selection,
    eligible,
    reason_for_customer,
    reason_for_rejections,
    select,
)
from regulars.questions.scoring import score

TODAY = dt.date(2026, 3, 2)
JACKETS, CODE = Candidate("jackets", 2.0, 0.5, 1.0), Candidate("code", 1.0, 0.5, 0.5)


def ago(days: int) -> dt.date:
    return TODAY - dt.timedelta(days=days)


def test_the_question_with_the_highest_score_is_asked():
    choice = select([CODE, JACKETS], Policy())

    assert choice == Selection("jackets", 2.0, 0.5, 1.0, 1.0, False, "code")


def test_equal_questions_are_asked_in_the_order_of_their_keys():
    assert select([Candidate("b", 1, 0.5, 0.5), Candidate("a", 1, 0.5, 0.5)], Policy()).key == "a"


def test_a_question_asked_of_too_many_today_gives_way_to_one_nearly_as_good():
    near, far = Candidate("near", 1.9, 0.5, 0.96), Candidate("far", 1.5, 0.5, 0.9)

    assert select([JACKETS, near, far], Policy(), crowded={"jackets"}).key == "near"
    assert select([JACKETS, far], Policy(), crowded={"jackets"}).key == "jackets"


def test_question_that_costs_more_than_it_gains_is_not_shown():
    dear = Candidate("dear", 0.2, 0.5, score(0.2, 0.5, price=0.3))

    assert select([dear], Policy()) == NotShown("not_worth_asking")


@pytest.mark.parametrize(
    ("history", "name"),
    [
        (CustomerExposure(interactive=False, opted_out=True), "not_interactive"),
        (CustomerExposure(opted_out=True, under_age=True), "opted_out"),
        (CustomerExposure(under_age=True, objected=True), "under_age"),
        (CustomerExposure(objected=True, logins=0), "objected"),
        (CustomerExposure(logins=1, last_shown=TODAY), "too_new"),
        (CustomerExposure(logins=2, last_shown=TODAY, recent_impressions=3), "asked_recently"),
        (CustomerExposure(logins=2, recent_impressions=3, passes_in_a_row=2, last_passed=ago(1)), "asked_often"),
        (CustomerExposure(logins=2, passes_in_a_row=2, last_passed=ago(59)), "quiet"),
    ],
)
def test_the_first_rule_that_holds_is_the_reason(history, name):
    stopped = reason_for_customer(history, TODAY, Caps(min_logins=2))

    assert stopped == NotShown(name)
    assert stopped.sentence == SENTENCES[name]


@pytest.mark.parametrize(
    ("candidate", "rule", "reason"),
    [
        (QuestionExposure("a", "x", weight=0, purpose_is_open=False), "worth_nothing", "nothing_to_ask"),
        (QuestionExposure("a", "x", purpose_is_open=False, may_be_asked=False), "purpose_closed", "nothing_to_ask"),
        (QuestionExposure("a", "x", may_be_asked=False, is_due=False), "needs_explicit_consent", "nothing_to_ask"),
        (QuestionExposure("a", "x", is_due=False, has_quota=False), "not_yet", "nothing_to_ask"),
        (QuestionExposure("a", "x", has_quota=False, in_audience=None), "quota_reached", "nothing_to_ask"),
        (QuestionExposure("a", "x", in_audience=None, is_known=True), "not_in_audience", "nothing_to_ask"),
        (QuestionExposure("a", "x", is_known=True, shown=3), "known", "all_known"),
        (QuestionExposure("a", "x", last_declined=ago(364), shown=3), "declined", "resting"),
        (QuestionExposure("a", "x", shown=3, passed=1, last_passed=ago(1)), "shown_enough", "resting"),
        (QuestionExposure("a", "x", passed=1, last_passed=ago(29)), "resting", "resting"),
        (QuestionExposure("a", "x", passed=2, last_passed=ago(59)), "resting", "resting"),
    ],
)
def test_every_refused_question_has_its_rule_and_the_silence_a_reason(candidate, rule, reason):
    free, refused = eligible([candidate], TODAY)

    assert (free, refused) == ([], {"a": rule})
    assert reason_for_rejections(refused) == NotShown(reason)
    assert reason_for_rejections(refused).rejections == {"a": rule}


def test_the_silence_is_that_of_the_question_that_got_furthest():
    candidates = [
        QuestionExposure("a", "x", purpose_is_open=False),
        QuestionExposure("b", "y", passed=1, last_passed=ago(1)),
    ]

    assert reason_for_rejections(eligible(candidates, TODAY)[1]) == NotShown("resting")
    assert reason_for_rejections({}) == NotShown("nothing_to_ask")


@pytest.mark.parametrize(("passed", "days"), [(1, 30), (2, 60)])
def test_the_rest_after_a_pass_ends_and_doubles(passed, days):
    rested = QuestionExposure("a", "x", shown=passed, passed=passed, last_passed=ago(days))

    assert eligible([rested], TODAY)[0] == [rested]


def test_every_rule_has_a_sentence_for_people():
    assert {name for name, _ in CUSTOMER_RULES} <= set(SENTENCES)
    assert {name for name, _ in QUESTION_RULES} == set(REJECTION_SENTENCES)


def test_the_control_group_is_asked_nothing_with_its_probability():
    stopped = select([JACKETS], Policy(control=0.05), RandomDraw(control=0.04))

    assert stopped == NotShown("control_group")
    assert stopped.probability == 0.05


def test_random_question_may_be_any_with_its_probability():
    explored = select([JACKETS, CODE], Policy(control=0.05, explore=0.1), RandomDraw(explore=0.09, pick=0.9))

    assert (explored.key, explored.explored) == ("code", True)
    assert explored.probability == pytest.approx(0.95 * 0.1 / 2)


@given(
    st.lists(st.tuples(st.floats(0.01, 3), st.booleans()), min_size=1, max_size=6),
    st.floats(0, 0.3),
    st.floats(0, 0.5),
)
def test_the_probabilities_of_all_that_may_happen_sum_to_one(given_options, control, explore):
    options = [Candidate(str(n), score, 0.5, score, free) for n, (score, free) in enumerate(given_options)]
    policy = Policy(control=control, explore=explore)
    free = [option for option in options if option.may_explore]
    happens = {}
    for draw in (RandomDraw(1, 1), *(RandomDraw(1, 0, (n + 0.5) / len(free)) for n in range(len(free)))):
        choice = select(options, policy, draw)
        happens[choice.key] = choice.probability

    assert sum(happens.values()) + control == pytest.approx(1)


@given(st.floats(0, 1), st.floats(0, 1))
def test_what_may_not_be_explored_is_never_asked_by_chance(explore, pick):
    special = Candidate("health", 0.1, 0.5, 0.1, may_explore=False)
    choice = select([JACKETS, CODE, special], Policy(explore=1), RandomDraw(1, explore * 0.99, pick))

    assert choice.key != "health"
