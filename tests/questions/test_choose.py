from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.questions.choose import (
    PERSON,
    QUESTION,
    QUESTION_SENTENCES,
    SENTENCES,
    Candidate,
    Caps,
    Choice,
    Dice,
    History,
    NotShown,
    Option,
    Policy,
    choose,
    eligible,
    refusal_of,
    score,
    silence,
)

TODAY = dt.date(2026, 3, 2)
JACKETS, CODE = Option("jackets", 2.0, 0.5, 1.0), Option("code", 1.0, 0.5, 0.5)


def ago(days: int) -> dt.date:
    return TODAY - dt.timedelta(days=days)


def test_the_question_with_the_highest_score_is_asked():
    choice = choose([CODE, JACKETS], Policy())

    assert choice == Choice("jackets", 2.0, 0.5, 1.0, 1.0, False, "code")


def test_equal_questions_are_asked_in_the_order_of_their_keys():
    assert choose([Option("b", 1, 0.5, 0.5), Option("a", 1, 0.5, 0.5)], Policy()).key == "a"


def test_a_question_asked_of_too_many_today_gives_way_to_one_nearly_as_good():
    near, far = Option("near", 1.9, 0.5, 0.96), Option("far", 1.5, 0.5, 0.9)

    assert choose([JACKETS, near, far], Policy(), crowded={"jackets"}).key == "near"
    assert choose([JACKETS, far], Policy(), crowded={"jackets"}).key == "jackets"


def test_a_question_that_costs_more_than_it_tells_is_not_asked():
    dear = Option("dear", 0.2, 0.5, score(0.2, 0.5, price=0.3))

    assert choose([dear], Policy()) == NotShown("not_worth_asking")


@pytest.mark.parametrize(
    ("history", "name"),
    [
        (History(interactive=False, said_never=True), "not_interactive"),
        (History(said_never=True, under_age=True), "said_never"),
        (History(under_age=True, objected=True), "under_age"),
        (History(objected=True, logins=0), "objected"),
        (History(logins=1, last_asked=TODAY), "too_new"),
        (History(logins=2, last_asked=TODAY, asks_lately=3), "asked_recently"),
        (History(logins=2, asks_lately=3, passes_in_a_row=2, last_passed=ago(1)), "asked_often"),
        (History(logins=2, passes_in_a_row=2, last_passed=ago(59)), "quiet"),
    ],
)
def test_the_first_rule_that_holds_is_the_reason(history, name):
    stopped = refusal_of(history, TODAY, Caps(min_logins=2))

    assert stopped == NotShown(name)
    assert stopped.sentence == SENTENCES[name]


@pytest.mark.parametrize(
    ("candidate", "rule", "reason"),
    [
        (Candidate("a", "x", weight=0, purpose_is_open=False), "worth_nothing", "nothing_to_ask"),
        (Candidate("a", "x", purpose_is_open=False, may_be_asked=False), "purpose_closed", "nothing_to_ask"),
        (Candidate("a", "x", may_be_asked=False, is_due=False), "needs_explicit_consent", "nothing_to_ask"),
        (Candidate("a", "x", is_due=False, has_quota=False), "not_yet", "nothing_to_ask"),
        (Candidate("a", "x", has_quota=False, in_audience=None), "quota_reached", "nothing_to_ask"),
        (Candidate("a", "x", in_audience=None, is_known=True), "not_in_audience", "nothing_to_ask"),
        (Candidate("a", "x", is_known=True, shown=3), "known", "all_known"),
        (Candidate("a", "x", last_declined=ago(364), shown=3), "declined", "resting"),
        (Candidate("a", "x", shown=3, passed=1, last_passed=ago(1)), "shown_enough", "resting"),
        (Candidate("a", "x", passed=1, last_passed=ago(29)), "resting", "resting"),
        (Candidate("a", "x", passed=2, last_passed=ago(59)), "resting", "resting"),
    ],
)
def test_every_refused_question_has_its_rule_and_the_silence_a_reason(candidate, rule, reason):
    free, refused = eligible([candidate], TODAY)

    assert (free, refused) == ([], {"a": rule})
    assert silence(refused) == NotShown(reason)
    assert silence(refused).refusals == {"a": rule}


def test_the_silence_is_that_of_the_question_that_got_furthest():
    candidates = [Candidate("a", "x", purpose_is_open=False), Candidate("b", "y", passed=1, last_passed=ago(1))]

    assert silence(eligible(candidates, TODAY)[1]) == NotShown("resting")
    assert silence({}) == NotShown("nothing_to_ask")


@pytest.mark.parametrize(("passed", "days"), [(1, 30), (2, 60)])
def test_the_rest_after_a_pass_ends_and_doubles(passed, days):
    rested = Candidate("a", "x", shown=passed, passed=passed, last_passed=ago(days))

    assert eligible([rested], TODAY)[0] == [rested]


def test_every_rule_has_a_sentence_for_people():
    assert {name for name, _ in PERSON} <= set(SENTENCES)
    assert {name for name, _ in QUESTION} == set(QUESTION_SENTENCES)


def test_the_control_group_is_asked_nothing_with_its_probability():
    stopped = choose([JACKETS], Policy(control=0.05), Dice(control=0.04))

    assert stopped == NotShown("control_group")
    assert stopped.probability == 0.05


def test_a_random_ask_may_be_any_and_its_probability_is_told():
    explored = choose([JACKETS, CODE], Policy(control=0.05, explore=0.1), Dice(explore=0.09, pick=0.9))

    assert (explored.key, explored.explored) == ("code", True)
    assert explored.probability == pytest.approx(0.95 * 0.1 / 2)


@given(
    st.lists(st.tuples(st.floats(0.01, 3), st.booleans()), min_size=1, max_size=6),
    st.floats(0, 0.3),
    st.floats(0, 0.5),
)
def test_the_probabilities_of_all_that_may_happen_sum_to_one(given_options, control, explore):
    options = [Option(str(n), score, 0.5, score, free) for n, (score, free) in enumerate(given_options)]
    policy = Policy(control=control, explore=explore)
    free = [option for option in options if option.may_explore]
    happens = {}
    for dice in (Dice(1, 1), *(Dice(1, 0, (n + 0.5) / len(free)) for n in range(len(free)))):
        choice = choose(options, policy, dice)
        happens[choice.key] = choice.probability

    assert sum(happens.values()) + control == pytest.approx(1)


@given(st.floats(0, 1), st.floats(0, 1))
def test_what_may_not_be_explored_is_never_asked_by_chance(explore, pick):
    special = Option("health", 0.1, 0.5, 0.1, may_explore=False)
    choice = choose([JACKETS, CODE, special], Policy(explore=1), Dice(1, explore * 0.99, pick))

    assert choice.key != "health"
