from __future__ import annotations

import pytest
from tests.notices import answer_page

from regulars.consent.models import ConsentEvent
from regulars.consent.view import view
from regulars.events.read import timeline
from regulars.questions.answer import BadAnswer
from regulars.questions.next_question import next_question
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import QuestionDraft, save_question
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases.answer_question import never_again, pass_over


@pytest.fixture
def looking_for(standard_setup):
    options = (AnswerOption("jackets", "Jackets"), AnswerOption("shoes", "Shoes"))
    return save_question(
        QuestionDraft(
            "looking_for",
            "What are you looking for?",
            "So that we show you that first.",
            "single_choice",
            "looking_for",
            "personalise",
            options,
            enabled=True,
        )
    )


def names(profile):
    return [event.name for event in timeline(profile.pk, limit=10)]


def test_answer_is_a_fact_with_source_consent_and_notice(chika, looking_for):
    ask = next_question(chika)

    assert answer_page(ask, "answer=jackets") is True

    fact = chika.facts.get(attribute="looking_for")
    consent = ConsentEvent.objects.get(profile=chika)
    assert (fact.value, fact.source_kind, fact.source) == ("jackets", "declared", "question:looking_for@1")
    assert (fact.basis, fact.consents) == ("consent", [consent.pk])
    assert (consent.purpose_id, consent.action, consent.notice.body) == ("personalise", "given", ask.words)
    assert view(chika, "personalise")["looking_for"].value == "jackets"
    assert names(chika) == ["Question Answered"]
    assert chika.__class__.objects.get(pk=chika.pk).document["user_metadata"]["looking_for"] == "jackets"


def test_an_answer_under_a_contract_purpose_writes_no_consent(chika, standard_setup):
    save_question(
        QuestionDraft(
            "code", "Your postal code?", "For the nearest shop.", "postal_code", "postal_code", "serve", enabled=True
        )
    )

    answer_page(next_question(chika), "answer=10115")

    assert chika.facts.get(attribute="postal_code").basis == "contract"
    assert not ConsentEvent.objects.exists()


def test_answer_changes_segments_at_once(chika, looking_for):
    segment = save_segment("Jacket people", "looking_for:jackets", "personalise")

    answer_page(next_question(chika), "answer=jackets")

    assert Membership.objects.get(segment=segment, profile_id=chika.pk).state == "in"


def test_a_bad_answer_writes_nothing_and_leaves_the_ask_open(chika, looking_for):
    ask = next_question(chika)

    with pytest.raises(BadAnswer):
        answer_page(ask, "answer=boats")

    ask.refresh_from_db()
    assert ask.outcome == "shown"
    assert not chika.facts.exists()
    assert not ConsentEvent.objects.exists()


def test_a_form_sent_twice_counts_once(chika, looking_for):
    ask = next_question(chika)
    answer_page(ask, "answer=jackets")

    assert answer_page(ask, "answer=shoes") is False
    assert pass_over(ask) is False
    assert chika.facts.get(attribute="looking_for").value == "jackets"
    assert names(chika) == ["Question Answered"]


@pytest.mark.parametrize(
    ("decline", "outcome", "event"),
    [(pass_over, "passed", "Question Passed"), (never_again, "never", "Question Declined")],
)
def test_declining_is_recorded_and_writes_no_fact(chika, looking_for, decline, outcome, event):
    ask = next_question(chika)

    assert decline(ask) is True

    ask.refresh_from_db()
    assert ask.outcome == outcome
    assert names(chika) == [event]
    assert not chika.facts.exists()


def test_when_what_follows_fails_nothing_was_answered(chika, looking_for, monkeypatch):
    ask = next_question(chika)

    def break_down(profiles):
        raise RuntimeError("no segments today")

    monkeypatch.setattr("regulars.usecases.unit_of_work.evaluate_all", break_down)
    with pytest.raises(RuntimeError):
        answer_page(ask, "answer=jackets")

    ask.refresh_from_db()
    assert ask.outcome == "shown"
    assert not chika.facts.exists()
