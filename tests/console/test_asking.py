"""Asking in the console: a customer's next question, past decisions, and the questions that settle a segment."""

from __future__ import annotations

import pytest
from django.utils import timezone

from regulars.interfaces.console.models import AuditEntry
from regulars.questions.models import Impression, PriorityBoost
from regulars.questions.next_question import next_question
from regulars.questions.save import AnswerOption, QuestionDraft, save_question
from regulars.segments.save import save_segment
from regulars.usecases.answer_question import pass_over
from regulars.usecases.save_segment import evaluate_saved

OPTIONS = (AnswerOption("jackets", "Jackets"), AnswerOption("shoes", "Shoes"))


@pytest.fixture
def looking_for(standard_setup):
    return save_question(
        QuestionDraft("looking_for", "What do you look for?", "To show it first.", "single_choice", "looking_for",
              "personalise", OPTIONS, enabled=True)
    )  # fmt: skip


@pytest.fixture
def jackets(looking_for):
    segment = save_segment("Jackets", "looking_for:jackets", "personalise")
    evaluate_saved(segment)
    return segment


def test_the_customer_page_ranks_next_questions_without_asking(console, make_customer, jackets):
    save_question(QuestionDraft("hats", "Hats?", "To show them.", "yes_no", "hats", "personalise", enabled=True))
    chika = make_customer()

    page = console.get(f"/console/customers/{chika.user_id}").content.decode()

    assert "At the next login: <strong>What do you look for?</strong>" in page
    assert page.index(">What do you look for?</a>") < page.index(">Hats?</a>")
    assert not Impression.objects.exists()


def test_the_customer_page_shows_why_nothing_was_asked(console, make_customer, looking_for):
    chika = make_customer()
    pass_over(next_question(chika))
    next_question(chika)

    page = console.get(f"/console/customers/{chika.user_id}").content.decode()

    assert "At a login today the customer would be asked nothing. The customer was asked a short while ago." in page
    assert "<td>nothing</td><td>The customer was asked a short while ago." in page
    assert "The customer passed; it rests." in page


def test_a_segments_page_names_the_question_that_settles_it_once_it_is_asked_to(console, make_customer, jackets):
    for _ in range(4):
        make_customer()
    evaluate_saved(jackets)

    short = console.get("/console/segments/jackets").content.decode()
    whole = console.get("/console/segments/jackets?find=1").content.decode()

    assert "Which question settles most?" in short
    assert "about 2 of 4" in whole
    assert "Ask them first" in whole


def test_one_click_asks_only_the_unknown_customers_first(console, make_customer, jackets):
    chika, dov = make_customer(), make_customer(looking_for="shoes")
    evaluate_saved(jackets)

    response = console.post("/console/segments/jackets/ask", {"question": "looking_for"})

    wish = PriorityBoost.objects.get()
    assert response["Location"] == "/console/segments/jackets"
    assert (wish.profile, wish.question.key) == (chika, "looking_for")
    assert wish.until > timezone.now()
    assert dov.pk != wish.profile_id
    assert AuditEntry.objects.get(what="segment.asked").subject == "jackets"


def test_a_question_that_is_off_is_not_wished_for_and_bruno_wishes_nothing(
    console, bruno_console, make_customer, jackets
):
    make_customer()
    evaluate_saved(jackets)

    assert console.post("/console/segments/jackets/ask", {"question": "telepathy"}).status_code == 400
    assert bruno_console.post("/console/segments/jackets/ask", {"question": "looking_for"}).status_code == 403
    assert "Ask to find out" not in bruno_console.get("/console/segments/jackets?find=1").content.decode()
    assert not PriorityBoost.objects.exists()


def test_a_segment_without_a_useful_question_shows_that(console, make_customer, looking_for):
    make_customer()
    evaluate_saved(save_segment("Porto", "city:Porto", "personalise"))

    page = console.get("/console/segments/porto?find=1").content.decode()

    assert "No question that is switched on would settle it" in page
