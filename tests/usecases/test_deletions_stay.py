"""What customers delete on their own page stays deleted, whatever writes it afterwards."""

from __future__ import annotations

import itertools
import json

import pytest
from tests.management_api.conftest import api_client

from regulars.base import clock
from regulars.events.models import InboxItem, Source
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute, Profile, RefusedGuess
from regulars.usecases.correct_facts import correct, remove
from regulars.usecases.process_event import process_inbox
from regulars.usecases.unit_of_work import changes
from regulars.usecases.users import MetadataWrite, update_metadata
from regulars.usecases.write_values import Authorship
from regulars.usecases.writers import Writer

__all__ = ["api_client"]  # fixtures
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup")]
NUMBERS = itertools.count(1)


def write(api_client, profile: Profile, **body):
    return api_client.call("PATCH", f"/v2/users/{profile.user_id.replace('|', '%7C')}", body)


@pytest.fixture
def shoe(chika) -> Attribute:
    attribute = Attribute.objects.create(
        key="shoe", label="Shoe", purposes=["serve"], metadata_path="user_metadata.shoe"
    )
    with changes(chika, "test") as c:
        c.learn([NewFact("shoe", "42", "declared", "question:shoe@1"), NewFact("city", "Porto", "declared", "test")])
    return attribute


@pytest.mark.parametrize(
    "body",
    [
        {"user_metadata": {"shoe": "43"}},
        {"user_metadata": {"shoe": {"size": 43}}},
        {"user_metadata": {"other": 1, "shoe": "42"}},
    ],
)
def test_application_cannot_bring_a_deleted_value_back(api_client, chika, shoe, body):
    """It reads what stands, as Auth0's clients expect, and the header says what was not written."""
    remove(chika, "shoe")
    answer = write(api_client, chika, **body)
    chika.refresh_from_db()

    assert answer.status_code == 200
    assert "shoe" not in answer.json().get("user_metadata", {})
    assert "shoe" not in chika.document.get("user_metadata", {})
    assert answer["Regulars-Not-Written"].endswith(";why=deleted_by_customer")
    assert answer["Regulars-Not-Written"].startswith("user_metadata.shoe")
    assert {each.why for each in RefusedGuess.objects.all()} == {"deleted_by_customer"}


def test_application_may_clear_what_is_deleted_already(api_client, chika, shoe):
    remove(chika, "shoe")
    cleared = write(api_client, chika, user_metadata={"shoe": None, "other": 1})
    assert (cleared.status_code, cleared.get("Regulars-Not-Written")) == (200, None)
    assert write(api_client, chika, user_metadata={"shoe": "43"}).json()["user_metadata"] == {"other": 1}


def test_other_values_of_the_bag_are_written(api_client, chika, shoe):
    remove(chika, "shoe")
    assert write(api_client, chika, user_metadata={"shoelace": "red"}).status_code == 200


def test_rule_cannot_bring_it_back_and_the_sign_in_goes_on(chika, shoe):
    remove(chika, "shoe")
    refused = update_metadata(
        chika, [MetadataWrite(Authorship(Writer.RULE, "rule:1"), "user_metadata", {"shoe": "43", "hat": "L"})]
    )
    assert [(value.path, value.why) for each in refused for value in each.refused] == [
        ("user_metadata.shoe", "deleted_by_customer")
    ]
    chika.refresh_from_db()
    assert chika.document["user_metadata"] == {"hat": "L"}


def test_event_cannot_bring_it_back_and_is_counted(chika, shoe):
    remove(chika, "city")
    source = Source.objects.create(name="Shop", slug="shop", kind=Source.Kind.SERVER)
    body = {"type": "identify", "userId": chika.user_id, "traits": {"address": {"city": "Lisbon"}}}
    InboxItem.objects.create(
        source=source, message_id=f"d-{next(NUMBERS)}", type="identify", body=json.dumps(body), received_at=clock.now()
    )
    process_inbox()
    chika.refresh_from_db()
    assert "city" not in chika.document
    assert RefusedGuess.objects.get(attribute="city").why == "deleted_by_customer"


def test_customer_may_enter_it_again(api_client, chika, shoe):
    remove(chika, "shoe")
    correct(chika, "shoe", "44")
    chika.refresh_from_db()
    assert chika.document["user_metadata"]["shoe"] == "44"
    assert write(api_client, chika, user_metadata={"shoe": "45"})["Regulars-Not-Written"] == (
        "user_metadata.shoe;why=said_by_customer"
    )
