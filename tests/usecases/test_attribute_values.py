"""Values fit their attribute on every road, and what is proved, concluded or an application's is closed to the others."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from django.utils import timezone
from tests.questions.conftest import LOOKING_FOR

from regulars.base.errors import DomainError, Invalid
from regulars.enrichment.save import save_source
from regulars.events.models import InboxItem, Source
from regulars.profiles.assertions import CONCLUSIONS, Asserter
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute, Fact, RefusedGuess
from regulars.profiles.values import fit
from regulars.questions.save import save_question
from regulars.usecases.correct_facts import correct
from regulars.usecases.process_event import process_inbox
from regulars.usecases.users import MetadataWrite, UserPatch, update_metadata, update_user
from regulars.usecases.write_values import Authorship, by_app
from regulars.usecases.writers import Writer

pytestmark = pytest.mark.django_db

UNFIT = [
    ("gender", 3.5),
    ("gender", "attack helicopter"),
    ("gender", ["female"]),
    ("picture", "javascript:alert(1)"),
    ("picture", "https://boss:secret@example.com/a.png"),
    ("picture", "http://pictures.example/a.png"),
    ("picture", "https:///a.png"),
    ("picture", 'https://pictures.example/"onload=alert(1)'),
    ("picture", "data:text/html,x"),
    ("birthdate", "2999-01-01"),
    ("birthdate", "12/31/1990"),
    ("birthdate", "1990-02-30"),
    ("birthdate", True),
    ("country", "Atlantis"),
    ("country", "P"),
    ("locale", "<script>"),
    ("time_zone", "Mars/Olympus"),
    ("email", "no address"),
    ("email", "a@b\x00c"),
    ("phone_number", "call me"),
    ("postal_code", "10115; DROP TABLE"),
    ("given_name", {"first": "Dov"}),
    ("name", 3.5),
    ("interests", "shoes"),
    ("name", "x" * 501),
    ("given_name", "x" * 151),
    ("city", "x" * 201),
]
FITTING = [
    ("gender", "Female", "female"),
    ("picture", "https://pictures.example/a.png?s=200", "https://pictures.example/a.png?s=200"),
    ("birthdate", "1990-04-12T00:00:00.000Z", "1990-04-12"),
    ("birthdate", "1990-04", "1990-04"),
    ("birthdate", "0000-04-12", "0000-04-12"),
    ("country", "Portugal", "PT"),
    ("country", "pt", "PT"),
    ("country", "USA", "US"),
    ("locale", "pt-BR", "pt-BR"),
    ("time_zone", "Europe/Lisbon", "Europe/Lisbon"),
    ("phone_number", "+49 (30) 123-456", "+49 (30) 123-456"),
    ("postal_code", "SW1A 1AA", "SW1A 1AA"),
    ("interests", ["shoes", "boots"], ["shoes", "boots"]),
    ("name", "Ana\u202eMaria", "Ana\ufffdMaria"),
]
NOT_THEIRS = {*CONCLUSIONS, "email_verified", "phone_verified", "username"}


def identify(profile, traits: dict[str, object], kind: str = "server") -> None:
    source, _ = Source.objects.get_or_create(slug="shop", defaults={"name": "Shop", "kind": kind})
    body = json.dumps({"userId": profile.user_id, "traits": traits})
    InboxItem.objects.create(
        source=source,
        message_id=f"m-{InboxItem.objects.count()}",
        type="identify",
        body=body,
        received_at=timezone.now(),
    )
    while process_inbox():
        pass


@pytest.mark.parametrize(("key", "value"), UNFIT)
@pytest.mark.parametrize("road", ["event", "provider", "look-up", "import"])
def test_a_value_that_does_not_fit_is_refused_by_name(chika, road, key, value):
    match road:
        case "event":
            identify(chika, {key: value})
        case "provider":
            learn(chika, [NewFact(key, value, "social", "facebook", asserter=Asserter.PROVIDER)])
        case "look-up":
            learn(chika, [NewFact(key, value, "enriched", "source:http", asserter=Asserter.LOOKUP)])
        case "import":
            learn(chika, [NewFact(key, value, "imported", "csv", asserter=Asserter.IMPORT)])

    assert not Fact.objects.filter(attribute=key).exists()
    assert RefusedGuess.objects.get(attribute=key).why in ("bad_value", "too_long")


@pytest.mark.parametrize(("key", "value"), UNFIT)
def test_an_application_gets_an_error_for_what_does_not_fit(chika, key, value):
    with pytest.raises(Invalid) as refused:
        update_user(chika, UserPatch({key: value}), by_app("crm"))

    assert refused.value.code in ("bad_value", "too_long")
    assert not Fact.objects.filter(attribute=key).exists()


@pytest.mark.parametrize(("key", "value", "kept"), FITTING)
def test_a_fitting_value_has_the_form_of_its_attribute(chika, key, value, kept):
    identify(chika, {key: value})

    assert Fact.objects.get(attribute=key).value == kept


@pytest.mark.parametrize(
    ("kind", "value"), [("number", "many"), ("boolean", 1), ("date", "soon"), ("choice", "boots"), ("list", "a")]
)
def test_values_of_declared_attributes_fit_their_type(standard_setup, kind, value):
    attribute = Attribute(key="shoe", label="Shoe", type=kind, options=[{"key": "hats", "label": "Hats"}])

    with pytest.raises(DomainError) as refused:
        fit(attribute, "shoe", value)

    assert refused.value.code == "bad_value"


@pytest.mark.parametrize("key", sorted(NOT_THEIRS))
@pytest.mark.parametrize("kind", ["public", "server"])
def test_events_fill_nothing_that_is_proved_or_concluded(chika, key, kind):
    value = {"number": 5, "boolean": True}.get(Attribute.objects.get(key=key).type, "x")
    identify(chika, {key: value}, kind)

    assert not Fact.objects.filter(attribute=key).exists()
    assert RefusedGuess.objects.get().why == "not_theirs_to_write"


@pytest.mark.parametrize("key", sorted(NOT_THEIRS))
def test_a_question_fills_nothing_that_is_proved_or_concluded(standard_setup, key):
    Attribute.objects.filter(key=key).update(purposes=["serve", "personalise"])

    with pytest.raises(DomainError) as refused:
        save_question(replace(LOOKING_FOR, attribute=key))

    assert refused.value.code == "attribute_not_askable"


def test_a_question_fills_nothing_of_an_application(standard_setup):
    Attribute.objects.create(key="plan", label="Plan", purposes=["personalise"], metadata_path="app_metadata.plan")

    with pytest.raises(DomainError) as refused:
        save_question(replace(LOOKING_FOR, attribute="plan"))

    assert refused.value.code == "attribute_not_askable"


def test_options_of_a_question_are_values_of_its_attribute(standard_setup):
    save_question(LOOKING_FOR)
    more = replace(
        LOOKING_FOR, options=(*LOOKING_FOR.options, replace(LOOKING_FOR.options[0], key="hats", label="Hats"))
    )
    save_question(more)

    assert "hats" in [each["key"] for each in Attribute.objects.get(key="looking_for").options]
    with pytest.raises(DomainError) as refused:
        save_question(replace(more, key="g", attribute="gender"))
    assert refused.value.code == "option_not_of_attribute"


@pytest.mark.parametrize("key", [*sorted(NOT_THEIRS), "plan"])
def test_a_mapping_of_a_look_up_fills_nothing_that_is_proved_or_concluded(standard_setup, key):
    Attribute.objects.create(key="plan", label="Plan", metadata_path="app_metadata.plan")
    settings = {"url": "https://example.com/people?email={email}", "take": f"city = city\n{key} = value", "header": ""}

    with pytest.raises(DomainError) as refused:
        save_source("http", settings)

    assert refused.value.code == "attribute_not_for_source"


def test_the_source_made_for_an_attribute_fills_it(chika):
    learn(chika, [NewFact("email_domain", "example.com", "inferred", "source:email", asserter=Asserter.LOOKUP)])
    chika.refresh_from_db()

    assert chika.document["email_domain"] == "example.com"


@pytest.mark.parametrize("key", ["age_band", "email_domain"])
def test_a_rule_fills_nothing_that_is_concluded(chika, key):
    """Not even where the attribute is kept in metadata."""
    Attribute.objects.filter(key=key).update(metadata_path=f"user_metadata.{key}")
    write = MetadataWrite(Authorship(Writer.RULE, "rule:own"), "user_metadata", {key: "25-34"})

    [refused] = update_metadata(chika, [write])

    assert refused.error.code == "not_theirs_to_write"
    assert not Fact.objects.filter(attribute=key).exists()


@pytest.mark.parametrize("staff", ["", "ana"])
@pytest.mark.parametrize("key", ["age_band", "email_domain", "network_country", "email_verified"])
def test_what_is_concluded_is_typed_by_no_one(chika, key, staff):
    with pytest.raises(DomainError) as refused:
        correct(chika, key, "x", reason="They said so.", staff=staff)

    assert refused.value.code == "not_by_hand"
