from __future__ import annotations

import datetime as dt

import pytest

from regulars.questions.choose import SENTENCES, Candidate, Caps, Choice, History, NotAsked, choose

TODAY = dt.date(2026, 3, 2)
JACKETS = Candidate("jackets", "looking_for", weight=2)
NEW_HERE = History()
CODE = Candidate("code", "postal_code", weight=1)


def ago(days: int) -> dt.date:
    return TODAY - dt.timedelta(days=days)


def chosen(*candidates: Candidate, known: frozenset[str] = frozenset(), history: History = NEW_HERE):
    return choose(candidates, known, history, TODAY)


def test_the_question_worth_most_is_asked():
    assert chosen(CODE, JACKETS) == Choice("jackets", 2)


def test_equal_questions_are_asked_in_the_order_of_their_keys():
    assert chosen(Candidate("b", "x"), Candidate("a", "y")) == Choice("a", 1.0)


def test_what_is_known_is_not_asked():
    assert chosen(CODE, JACKETS, known=frozenset({"looking_for"})) == Choice("code", 1)


@pytest.mark.parametrize(
    ("candidates", "known", "history", "name"),
    [
        ([JACKETS], set(), History(said_never=True), "said_never"),
        ([JACKETS], set(), History(last_asked=TODAY), "asked_recently"),
        ([], set(), History(), "nothing_to_ask"),
        ([Candidate("idle", "x", weight=0)], set(), History(), "nothing_to_ask"),
        ([JACKETS], {"looking_for"}, History(), "all_known"),
        ([Candidate("a", "x", shown=3)], set(), History(), "resting"),
        ([Candidate("a", "x", passed=1, last_passed=ago(29))], set(), History(), "resting"),
        ([Candidate("a", "x", passed=2, last_passed=ago(59))], set(), History(), "resting"),
    ],
)
def test_every_silence_has_a_name_and_a_sentence(candidates, known, history, name):
    answer = choose(candidates, known, history, TODAY)

    assert answer == NotAsked(name)
    assert answer.sentence == SENTENCES[name]


@pytest.mark.parametrize(("passed", "days"), [(1, 30), (2, 60)])
def test_the_rest_after_a_pass_ends_and_doubles(passed, days):
    rested = Candidate("a", "x", shown=passed, passed=passed, last_passed=ago(days))

    assert chosen(rested) == Choice("a", 1.0)


def test_yesterdays_question_does_not_stop_todays_unless_the_caps_say_so():
    asked_yesterday = History(last_asked=ago(1))

    assert chosen(JACKETS, history=asked_yesterday) == Choice("jackets", 2)
    assert choose([JACKETS], set(), asked_yesterday, TODAY, Caps(days_between=7)) == NotAsked("asked_recently")
