"""Every writer of facts gives the legal basis, and the decision that it needs; what has none is refused and listed."""

from __future__ import annotations

import pytest
from tests.notices import answer_page
from tests.usecases.test_complete_social_login import YES, provider_login
from tests.usecases.test_import_consents import row
from tests.usecases.test_process_event import send

from regulars.base.jobs.run_jobs import run_due
from regulars.connections.models import Connection
from regulars.consent.bases import wrong_bases
from regulars.consent.models import Purpose
from regulars.consent.record import Decision
from regulars.consent.view import served_user, view
from regulars.enrichment.save import save_source
from regulars.profiles.assertions import Place
from regulars.profiles.learn import BASES, NewFact, learn
from regulars.profiles.models import Fact, RefusedGuess
from regulars.questions.next_question import next_question
from regulars.questions.save import QuestionDraft, save_question
from regulars.usecases.complete_social_login import complete_social_login, sign_up
from regulars.usecases.correct_facts import correct, remove
from regulars.usecases.decide_consent import decide
from regulars.usecases.enrich import queue_enrichment
from regulars.usecases.import_consents import import_consents
from regulars.usecases.unit_of_work import changes
from regulars.usecases.users import (
    MetadataWrite,
    NewDatabaseUser,
    UserPatch,
    create_user,
    link,
    unlink,
    update_metadata,
    update_user,
)
from regulars.usecases.write_values import Authorship, by_app
from regulars.usecases.writers import Writer

__all__ = ["send"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup")]
SOURCES = {
    "google-oauth2",
    "app:signin",
    "app:crm",
    "app:shop",
    "rule:size",
    "question:city@1",
    "question:country@1",
    "question:postal_code@1",
    "customer",
    "staff:ana",
    "source:hints",
}


def test_gate_of_writers_knows_the_bases_of_purposes():
    assert set(Purpose.Basis.values) == BASES


@pytest.mark.parametrize(
    ("basis", "why"), [("consent", "no_decision"), ("", "no_basis"), ("because", "no_basis"), ("vital", "no_basis")]
)
def test_fact_without_a_basis_is_refused_logged_and_listed(chika, caplog, basis, why):
    news = [NewFact("gender", "female", "social", "google-oauth2", basis=basis)]

    assert learn(chika, news) == []

    assert not chika.facts.exists()
    assert [(each.attribute, each.source, each.why) for each in RefusedGuess.objects.all()] == [
        ("gender", "google-oauth2", why)
    ]
    assert why in caplog.text
    assert "female" not in caplog.text


@pytest.mark.parametrize("basis", ["", "vital"])
def test_fact_of_an_earlier_version_without_a_basis_is_used_for_nothing(chika, basis):
    with changes(chika, "test") as c:
        c.learn([NewFact("name", "Chika", "social", "google-oauth2")])
    assert served_user(chika, Place.TOKEN)["name"] == "Chika"

    chika.facts.update(basis=basis)
    with changes(chika, "test") as c:
        c.refresh(chika)

    assert [fact.attribute for fact, _ in wrong_bases()] == ["name"]
    assert view(chika, "serve") == {}
    assert "name" not in served_user(chika, Place.TOKEN)
    assert "name" not in chika.document


def test_repeated_value_without_a_decision_confirms_nothing(chika):
    yes = decide(chika, Decision("personalise", "given", "login"))
    kind = {"source_kind": "social", "source": "google-oauth2", "basis": "consent"}
    (fact,) = learn(chika, [NewFact("gender", "female", **kind, consents=[yes.pk])])

    learn(chika, [NewFact("gender", "female", **kind)])

    fact.refresh_from_db()
    assert fact.confirmed_at is None
    assert RefusedGuess.objects.get().why == "no_decision"


def test_withdrawn_value_needs_no_decision(chika):
    yes = decide(chika, Decision("personalise", "given", "login"))
    kind = {"source_kind": "social", "source": "google-oauth2", "basis": "consent"}
    learn(chika, [NewFact("gender", "female", **kind, consents=[yes.pk])])

    (gone,) = learn(chika, [NewFact("gender", None, **kind)])

    assert gone.value is None
    assert list(wrong_bases()) == []


def answer_question_about(profile, key: str, kind: str, purpose: str, text: str) -> bool:
    question = save_question(QuestionDraft(key, f"Your {key}?", "For shops.", kind, key, purpose, enabled=True))
    impression = next_question(profile)
    answered = answer_page(impression, f"answer={text}")
    impression.delete()  # one question a day
    question.enabled = False
    question.save()
    return answered


def test_every_writer_gives_the_basis(send):
    """Write by every road that the product has, and walk the database afterwards."""
    connection = Connection.objects.create(name="Username-Password-Authentication", strategy="auth0").name
    profile = complete_social_login(provider_login(shared=[YES])).profile
    complete_social_login(provider_login(shared=[YES]))
    sign_up("dov@example.com", "!", connection)
    new = UserPatch({"name": "Chika"}, password="a few words in a row")
    other = create_user(NewDatabaseUser(connection, "chika@example.com", new), by_app("crm"))
    update_user(
        profile, UserPatch({"given_name": "Chika", "locale": "pt-BR"}, {"user_metadata": {"shoe": 38}}), by_app("crm")
    )
    update_metadata(profile, [MetadataWrite(Authorship(Writer.RULE, "rule:size"), "app_metadata", {"size": "M"})])
    import_consents([row(profile, purpose="message")], "operator")
    assert answer_question_about(profile, "postal_code", "postal_code", "serve", "10437")
    assert answer_question_about(profile, "city", "short_text", "personalise", "Berlin")
    assert answer_question_about(profile, "country", "country", "measure", "DE")
    send({"type": "identify", "userId": profile.user_id, "traits": {"lastName": "Eze", "birthday": "1990-04-12"}})
    correct(profile, "gender", "other")
    correct(profile, "nickname", "Chi", reason="By phone.", staff="ana")
    save_source("hints", {}, enabled=True)
    queue_enrichment(profile, "hints")
    run_due()
    link(profile, other, "test")
    profile.refresh_from_db()
    unlink(profile, profile.identities.get(provider="auth0"), "test")
    remove(profile, "city")

    assert [(fact.attribute, fact.source, why) for fact, why in wrong_bases()] == []
    assert not RefusedGuess.objects.filter(why__in=("no_basis", "no_decision")).exists()
    written = Fact.objects.exclude(value=None)
    assert set(written.values_list("source", flat=True)) == SOURCES
    assert set(written.values_list("basis", flat=True)) == BASES
