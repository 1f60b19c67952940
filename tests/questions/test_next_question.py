from __future__ import annotations

import threading

import pytest
from django.db import IntegrityError, connection, transaction

from regulars.base import clock
from regulars.consent.record import Decision, record
from regulars.profiles.learn import NewFact, learn
from regulars.questions.models import Impression, Question
from regulars.questions.next_question import NotShown, next_question
from regulars.usecases.answer_question import never_again, pass_over


def test_the_weightiest_question_is_asked_in_the_words_shown(chika, looking_for, postal_code):
    impression = next_question(chika, locale="de", client_id="shop")

    assert impression.question == looking_for
    assert (
        impression.words
        == "What are you looking for?\nSo that we show you that first.\nTo show you things that fit you."
    )
    assert (impression.version, impression.locale, impression.client_id, impression.value) == (1, "en", "shop", 0.2)


def test_an_open_ask_is_shown_again_the_same_day_and_not_twice_in_the_book(chika, looking_for):
    first = next_question(chika)

    assert next_question(chika) == first
    assert Impression.objects.count() == 1


def test_after_a_pass_nothing_more_is_asked_that_day_and_another_question_the_next(
    chika, looking_for, postal_code, days_later
):
    pass_over(next_question(chika))

    assert next_question(chika) == NotShown("asked_recently")
    days_later(1)
    assert next_question(chika).question == postal_code


def test_a_passed_question_rests_a_month(chika, looking_for, days_later):
    pass_over(next_question(chika))

    days_later(29)
    assert next_question(chika) == NotShown("resting")
    days_later(30)
    assert next_question(chika).question == looking_for


def test_after_three_closed_windows_the_question_is_left_alone(chika, looking_for, days_later):
    for day in (0, 15, 30):
        days_later(day)
        next_question(chika)

    days_later(50)
    assert next_question(chika) == NotShown("resting")


def test_never_means_never_for_every_question(chika, looking_for, postal_code, days_later):
    never_again(next_question(chika))

    days_later(1000)
    assert next_question(chika) == NotShown("opted_out")


@pytest.mark.parametrize("name", ["looking_for", "user_metadata.looking_for"])
def test_what_an_application_wrote_is_not_asked(chika, looking_for, name):
    learn(chika, [NewFact(name, "shoes", "declared", "app:shop")])

    assert next_question(chika) == NotShown("all_known")


def test_what_an_application_wrote_before_the_question_was_made_is_not_asked(chika, request):
    learn(chika, [NewFact("user_metadata.looking_for", "shoes", "declared", "app:shop")])
    request.getfixturevalue("looking_for")

    assert next_question(chika) == NotShown("all_known")


def test_an_open_ask_is_not_shown_again_once_the_answer_came_from_elsewhere(chika, looking_for):
    next_question(chika)
    learn(chika, [NewFact("looking_for", "shoes", "declared", "app:shop")])

    assert next_question(chika) == NotShown("asked_recently")


def test_withdrawn_purpose_stops_its_questions(chika, looking_for):
    record(chika, Decision("personalise", "given", "login"))
    record(chika, Decision("personalise", "withdrawn", "profile"))

    assert next_question(chika) == NotShown("nothing_to_ask")


def test_who_refused_social_data_may_still_answer_a_question(chika, looking_for):
    record(chika, Decision("personalise", "refused", "login"))

    assert isinstance(next_question(chika), Impression)


def test_a_question_switched_off_is_not_asked(chika, looking_for):
    Question.objects.update(enabled=False)

    assert next_question(chika) == NotShown("nothing_to_ask")


def test_the_database_itself_allows_one_ask_a_day(chika, looking_for):
    next_question(chika)

    with pytest.raises(IntegrityError), transaction.atomic():
        Impression.objects.create(question=looking_for, profile=chika, version=1, day=clock.today(), words="")


def test_a_login_that_lost_the_race_shows_what_the_other_asked(chika, looking_for, postal_code, monkeypatch):
    """The other login's impression appears after this one has read and before it writes."""
    from regulars.questions import next_question as module

    decide = module.select

    def other_login_first(*given: object):
        Impression.objects.create(question=postal_code, profile=chika, version=1, day=clock.today(), words="")
        return decide(*given)

    monkeypatch.setattr(module, "select", other_login_first)

    assert next_question(chika).question == postal_code
    assert Impression.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="an in-memory SQLite has one connection")
def test_four_logins_at_once_ask_once(chika, looking_for):
    start, asked = threading.Barrier(4), []

    def log_in():
        try:
            start.wait(timeout=10)
            asked.append(next_question(chika).pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=log_in) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)

    assert len(asked) == 4
    assert len(set(asked)) == 1
