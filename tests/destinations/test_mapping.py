"""The owner of a destination maps attributes to fields, and previews for a real customer what would be sent."""

from __future__ import annotations

import json

import pytest
from django.db import connection

from regulars.base.errors import DomainError
from regulars.consent.record import Decision, record
from regulars.destinations.deliver import deliver
from regulars.destinations.mapping import checked, mapped
from regulars.destinations.message import preview_message
from regulars.destinations.models import Delivery, Disclosure
from regulars.destinations.save import save_destination
from regulars.profiles.learn import NewFact, learn
from tests.receivers import receiving

from .conftest import SECRET, queue_one

LINES = [
    {"attribute": "given_name", "field": "FNAME", "transform": "upper"},
    {"attribute": "city", "field": "town", "transform": ""},
    {"attribute": "birthdate", "field": "BIRTHDAY", "transform": "birthday"},
]


@pytest.fixture
def known(chika):
    facts = {"given_name": "Chika", "city": "Porto", "country": "PT", "birthdate": "1990-04-01"}
    learn(chika, [NewFact(key, value, "declared", "test") for key, value in facts.items()])
    record(chika, Decision("message", "given", "test"))
    return chika


@pytest.mark.parametrize(
    ("transform", "value", "disclosed"),
    [
        ("lower", "Ana", "ana"),
        ("initial", " ana", "a"),
        ("first", ["skiing", "tea"], "skiing"),
        ("text", ["skiing", "tea"], "skiing, tea"),
        ("digits", "+351 912-345", "351912345"),
        ("year", "1990-04-01", "1990"),
        ("birthday", "1990-04-01", "04/01"),
        ("sha256", " ANA ", "24d4b96f58da6d4a8512313bbd02a28ebf0ca95dec6e4c86ef78ce7f01e788ac"),
    ],
)
def test_transforms_convert_values(transform, value, disclosed):
    assert mapped([{"attribute": "a", "field": "f", "transform": transform}], {"a": value}) == {"f": disclosed}


def test_value_that_does_not_fit_its_transform_is_not_sent():
    assert mapped([{"attribute": "a", "field": "f", "transform": "year"}], {"a": "unknown"}) == {}


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ([{"attribute": "city", "field": "a"}, {"attribute": "country", "field": "a"}], "field_twice"),
        ([{"attribute": "city", "field": "a\nb"}], "bad_field"),
        ([{"attribute": "city", "transform": "guess"}], "unknown_transform"),
    ],
)
def test_lines_that_make_no_sense_are_refused_by_name(lines, name):
    with pytest.raises(DomainError) as refused:
        checked(lines)

    assert refused.value.code == name


def test_empty_rows_of_the_form_are_no_lines():
    assert checked([{"attribute": " ", "field": "x"}]) == []


def test_only_what_is_mapped_leaves_under_its_new_name_and_if_its_purpose_allows(known, to_webhook):
    with receiving() as receiver:
        to_webhook(receiver.url, mapping=LINES)
        deliver(queue_one(known), {})

    assert json.loads(receiver.received[0].body)["data"]["traits"] == {"FNAME": "CHIKA", "town": "Porto"}


def test_disclosure_records_facts_by_field(known, to_webhook):
    with receiving() as receiver:
        to_webhook(receiver.url, mapping=LINES)
        deliver(queue_one(known), {})
    city = known.facts.get(attribute="city")

    disclosed = Disclosure.objects.get().fields
    assert disclosed.keys() == {"FNAME", "town"}
    assert (disclosed["town"]["attribute"], disclosed["town"]["fact"]) == ("city", city.pk)


def test_a_preview_shows_the_call_without_making_or_keeping_anything(known, to_webhook):
    with receiving() as receiver:
        destination = to_webhook(receiver.url, mapping=LINES)
        seen = preview_message(destination, known, {})

    assert receiver.received == []
    assert not Delivery.objects.exists()
    assert not Disclosure.objects.exists()
    assert seen.traits == {"FNAME": "CHIKA", "town": "Porto"}
    assert json.loads(seen.calls[0].body)["data"]["segment"]["slug"] == "jackets"
    assert SECRET not in repr(seen)


def test_preview_explains_why_nothing_would_be_sent(chika, to_webhook):
    seen = preview_message(to_webhook("http://example.com"), chika, {})

    assert seen.refused == "The customer does not allow the purpose 'message'."
    assert seen.calls == ()


def test_destination_without_traits_refuses_a_mapping(standard_setup):
    with pytest.raises(DomainError) as refused:
        save_destination(
            "Chat", "slack", {"url": "http://example.com"}, purpose="message", segment_slugs=[], mapping=LINES
        )

    assert refused.value.code == "nothing_to_map"


def test_match_attributes_are_encrypted_in_the_table(known, to_webhook):
    with receiving() as receiver:
        to_webhook(receiver.url)
        deliver(queue_one(known), {})
    with connection.cursor() as cursor:
        cursor.execute("SELECT match FROM destinations_disclosure")
        (stored,) = cursor.fetchone()

    assert Disclosure.objects.get().match == {"user_id": "google-oauth2|1001"}
    assert "1001" not in stored
