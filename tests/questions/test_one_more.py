"""After an answer one more question may be offered; it is shown on request, and never more than the owner allows."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.db import IntegrityError, connection, transaction

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.questions.models import Impression, SelectionDecision
from regulars.questions.next_question import NotShown, ask_one_more, may_offer_more, next_question
from regulars.questions.save import QuestionDraft, save_question
from regulars.questions.settings import save_settings
from regulars.usecases.answer_question import pass_over
from tests.notices import answer_page

ANSWERS = {"looking_for": "jackets", "postal_code": "10115", "shoe_size": "42"}


@pytest.fixture
def three(looking_for, postal_code):
    return save_question(
        QuestionDraft("shoe_size", "Your size?", "To fit.", "number", "shoe_size", "serve", enabled=True)
    )


def answered(impression):
    answer_page(impression, f"answer={ANSWERS[impression.question.key]}")
    return impression


def test_nothing_more_is_offered_by_default(chika, three):
    first = answered(next_question(chika))

    assert not may_offer_more(first)
    assert ask_one_more(first, "en") == NotShown("sitting_over")


def test_customer_may_have_as_many_more_as_allowed_and_each_once(chika, three):
    save_settings(one_more=2)
    first = answered(next_question(chika))
    assert may_offer_more(first)
    second = answered(ask_one_more(first, "en"))
    third = answered(ask_one_more(second, "en"))

    assert {each.question.key for each in (first, second, third)} == set(ANSWERS)
    assert (second.follows, third.follows) == (first, second)
    assert not may_offer_more(third)
    assert SelectionDecision.objects.filter(reason="asked").count() == 3


def test_one_more_means_one(chika, three):
    save_settings(one_more=1)
    second = answered(ask_one_more(answered(next_question(chika)), "en"))

    assert ask_one_more(second, "en") == NotShown("sitting_over")


@pytest.mark.parametrize("close", [pass_over, lambda impression: answer_page(impression, "answer=__declined")])
def test_customer_who_did_not_answer_is_offered_nothing(chika, three, looking_for, close):
    save_settings(one_more=2)
    looking_for.may_decline = True
    looking_for.save()
    impression = next_question(chika)
    close(impression)

    assert not may_offer_more(impression)


def test_the_months_limit_holds_for_those_too(chika, three):
    save_settings(one_more=2, most_in_30_days=2)
    second = answered(ask_one_more(answered(next_question(chika)), "en"))

    assert ask_one_more(second, "en") == NotShown("asked_often")


def test_the_next_login_waits_as_long_as_after_any_question(chika, three):
    save_settings(one_more=1)
    second = ask_one_more(answered(next_question(chika)), "en")

    assert next_question(chika) == NotShown("asked_recently"), "an open one of another session is not shown at a login"
    answered(second)
    assert next_question(chika) == NotShown("asked_recently")


def test_an_answer_of_long_ago_is_no_reason_to_ask_more(chika, three, monkeypatch):
    save_settings(one_more=2)
    first = answered(next_question(chika))
    monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(minutes=16))

    assert ask_one_more(first, "en") == NotShown("sitting_over")


def test_nothing_worth_asking_is_not_offered(chika, looking_for):
    save_settings(one_more=2)
    first = answered(next_question(chika))

    assert not may_offer_more(first)
    assert ask_one_more(first, "en") == NotShown("all_known")


def test_a_fault_ends_the_sitting_and_nothing_else(chika, three, monkeypatch, caplog):
    save_settings(one_more=2)
    first = answered(next_question(chika))
    monkeypatch.setattr("regulars.questions.next_question.eligible", lambda *_: 1 / 0)

    assert not may_offer_more(first)
    assert ask_one_more(first, "en") == NotShown("unavailable")
    assert "ZeroDivisionError" in caplog.text


def test_the_database_holds_one_ask_of_a_login_a_day_and_one_after_another(chika, three):
    save_settings(one_more=2)
    first = answered(next_question(chika))
    second = ask_one_more(first, "en")
    for wrong in ({"follows": None}, {"follows": first}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Impression.objects.create(
                question=second.question, version=1, profile=chika, day=second.day, words="x", **wrong
            )


@pytest.mark.parametrize("wrong", [-1, 3, True, "1", 0.5])
def test_more_than_two_would_be_a_form(standard_setup, wrong):
    with pytest.raises(DomainError) as refusal:
        save_settings(one_more=wrong)

    assert (refusal.value.code, refusal.value.field) == ("bad_number", "one_more")


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_get_the_same_question(chika, three):
    save_settings(one_more=1)
    first, got = answered(next_question(chika)), []

    def click():
        try:
            got.append(ask_one_more(Impression.objects.get(pk=first.pk), "en"))
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)

    assert len(got) == 2
    assert len({each.pk for each in got}) == 1
