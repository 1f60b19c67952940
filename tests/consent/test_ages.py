"""A yes of a customer who is too young is refused, and never counts: not after their birthday, nor by another birthdate."""

from __future__ import annotations

import datetime as dt

import pytest
from tests.notices import agreed, answer_page

from regulars.base import clock
from regulars.base.errors import Invalid
from regulars.connections.provider import ProviderClaim
from regulars.consent.models import ConsentEvent
from regulars.consent.record import Decision, first_broken_link
from regulars.consent.view import may
from regulars.profiles.learn import NewFact
from regulars.questions.answer import BadAnswer
from regulars.questions.models import Impression
from regulars.questions.next_question import notice_of
from regulars.questions.save import QuestionDraft, save_question
from regulars.usecases.complete_social_login import ProviderLogin, complete_social_login
from regulars.usecases.decide_consent import decide
from regulars.usecases.unit_of_work import changes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup", "lake")]
YES = Decision("personalise", "given", "profile")


def born(profile, years_ago, kind="declared"):
    birthdate = f"{clock.today().year - years_ago - 1}-12-31"
    with changes(profile, "test") as c:
        c.learn([NewFact("birthdate", birthdate, kind, "app:shop")])


def imported(profile):
    """A yes by a road that asks no customer for their age."""
    evidence = {"file": "old-system.csv"}
    with changes(profile, "test") as c:
        c.decide(Decision("personalise", "imported", "import", evidence=evidence))


@pytest.fixture
def grown(monkeypatch):
    """Let ten years pass."""

    def pass_by():
        monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(days=3653))

    return pass_by


def test_yes_on_their_own_page_is_refused(chika):
    born(chika, 12)

    with pytest.raises(Invalid) as refused:
        decide(chika, YES)

    assert (refused.value.code, ConsentEvent.objects.count()) == ("too_young", 0)


def test_answer_to_a_question_opened_before_is_refused(chika):
    question = save_question(
        QuestionDraft("size", "Your size?", "To show it first.", "short_text", "size", "personalise", enabled=True)
    )
    shown = Impression.objects.create(
        question=question, version=1, profile=chika, day=clock.today(), words=notice_of(question)
    )
    born(chika, 12)

    with pytest.raises(BadAnswer) as refused:
        answer_page(shown, "answer=M")

    assert (refused.value.code, ConsentEvent.objects.count()) == ("too_young", 0)
    assert not chika.facts.filter(attribute="size").exists()


def test_claims_chosen_at_a_social_sign_in_are_not_taken(chika):
    born(chika, 12)
    gender = ProviderClaim("gender", "female", "social", "gender")

    complete_social_login(
        ProviderLogin("google-oauth2", "1001", "google-oauth2", {}, [], [], [gender], [agreed("gender")])
    )

    assert not chika.facts.filter(attribute="gender").exists()
    assert not ConsentEvent.objects.exists()


@pytest.mark.parametrize("first", ["yes", "birthdate"])
def test_yes_of_a_child_is_over_for_good(chika, grown, first):
    steps = [lambda: imported(chika), lambda: born(chika, 12)]
    for step in steps if first == "yes" else reversed(steps):
        step()

    assert [event.action for event in ConsentEvent.objects.order_by("pk")] == ["imported", "expired"]
    assert first_broken_link(chika) is None
    grown()
    with changes(chika, "test") as c:
        c.refresh()
    assert not may(chika, "personalise")
    decide(chika, YES)
    assert may(chika, "personalise"), "they are old enough to say so themselves now"


def test_another_birthdate_brings_back_no_yes_of_a_child(chika):
    imported(chika)
    born(chika, 12)

    born(chika, 30, kind="corrected")

    assert not may(chika, "personalise")


def test_no_of_a_child_counts(chika):
    born(chika, 12)

    decide(chika, Decision("personalise", "withdrawn", "profile"))

    assert ConsentEvent.objects.get().action == "withdrawn"


def test_consents_of_adults_stay_as_they_are(chika):
    imported(chika)
    born(chika, 40)

    assert may(chika, "personalise")
    assert ConsentEvent.objects.get().action == "imported"
