from __future__ import annotations

from dataclasses import replace

from regulars.questions.ask import next_question
from regulars.questions.customer import Customer
from regulars.questions.foresee import foresee
from regulars.questions.models import Impression, SelectionDecision
from regulars.questions.save import save_question
from regulars.questions.settings import save_settings
from regulars.segments.save import save_segment
from regulars.usecases.answer_question import pass_over
from regulars.usecases.save_segment import evaluate_saved

from .conftest import LOOKING_FOR


def test_the_next_question_is_foreseen_as_it_is_then_asked_and_nothing_is_written(chika, looking_for, postal_code):
    evaluate_saved(save_segment("Jackets", "looking_for:jackets", "personalise"))

    foreseen = foresee(chika)

    assert not Impression.objects.exists()
    assert not SelectionDecision.objects.exists()
    assert foreseen.next.key == next_question(chika).question.key == "looking_for"
    assert [each.key for each in foreseen.questions] == ["looking_for", "postal_code"]
    assert foreseen.questions[0].score > foreseen.questions[1].score


def test_what_stops_her_and_what_stops_each_question_is_told(chika, looking_for, postal_code, days_later):
    pass_over(next_question(chika))

    foreseen = foresee(chika)

    assert foreseen.stopped == "She was asked a short while ago."
    assert foreseen.next is None
    days_later(1)
    stopped = {each.key: each.stopped for each in foresee(chika).questions}
    assert sorted(stopped.values()) == ["", "She passed; it rests."]


def test_a_question_still_open_comes_again_today(chika, looking_for):
    next_question(chika)

    assert foresee(chika).again == looking_for.text
    save_settings(asking=False)
    assert foresee(chika).stopped == "Asking is switched off for everybody."


def test_an_audience_that_reads_one_event_does_not_hide_the_events_of_segments(make_customer):
    save_question(replace(LOOKING_FOR, audience='did("Product Viewed")'))
    customer = Customer.of(make_customer(("Product Viewed", {}), ("Order Completed", {})))

    assert [each.in_audience for each in customer.candidates()] == [True]
    assert not customer.known.events("Order Completed")
    customer.watch(frozenset({"Order Completed"}))
    assert len(customer.known.events("Order Completed")) == 1
    assert len(customer.known.events("Product Viewed")) == 1
