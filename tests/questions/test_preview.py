from __future__ import annotations

from dataclasses import replace

from regulars.base.conditions import parse
from regulars.questions.customer_context import CustomerContext
from regulars.questions.models import Impression, SelectionDecision
from regulars.questions.next_question import next_question
from regulars.questions.preview import preview
from regulars.questions.save import save_question
from regulars.questions.settings import save_settings
from regulars.segments.save import save_segment
from regulars.usecases.answer_question import pass_over
from regulars.usecases.save_segment import evaluate_saved

from .conftest import LOOKING_FOR


def test_the_next_question_is_shown_as_it_is_then_asked_and_nothing_is_written(chika, looking_for, postal_code):
    evaluate_saved(save_segment("Jackets", "looking_for:jackets", "personalise"))

    shown = preview(chika)

    assert not Impression.objects.exists()
    assert not SelectionDecision.objects.exists()
    assert shown.next.key == next_question(chika).question.key == "looking_for"
    assert [each.key for each in shown.questions] == ["looking_for", "postal_code"]
    assert shown.questions[0].score > shown.questions[1].score


def test_preview_names_what_stops_the_customer_and_each_question(chika, looking_for, postal_code, days_later):
    pass_over(next_question(chika))

    shown = preview(chika)

    assert shown.stopped == "The customer was asked a short while ago."
    assert shown.next is None
    days_later(1)
    stopped = {each.key: each.stopped for each in preview(chika).questions}
    assert sorted(stopped.values()) == ["", "The customer passed; it rests."]


def test_a_question_still_open_comes_again_today(chika, looking_for):
    next_question(chika)

    assert preview(chika).again == looking_for.text
    save_settings(asking=False)
    assert preview(chika).stopped == "Questions are switched off for all customers."


def test_an_audience_that_reads_one_event_does_not_hide_the_events_of_segments(make_customer):
    save_question(replace(LOOKING_FOR, audience='did("Product Viewed")'))
    customer = CustomerContext.load(make_customer(("Product Viewed", {}), ("Order Completed", {})))

    assert [each.in_audience for each in customer.question_exposures()] == [True]
    assert not customer.usable_data().events("Order Completed")
    data = customer.usable_data([parse('did("Order Completed")')])
    assert len(data.events("Order Completed")) == 1
    assert len(data.events("Product Viewed")) == 1
