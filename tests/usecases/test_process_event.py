"""A message becomes an event of a customer: whose it is, which facts it brings, when it happened."""

from __future__ import annotations

import datetime as dt
import itertools
import json

import pytest
from django.utils import timezone

from regulars.base.jobs.run_jobs import run_due
from regulars.base.lake.query import query
from regulars.consent.view import served_user
from regulars.events.models import Event, InboxItem, Source
from regulars.profiles.find import find_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.segments.models import Membership
from regulars.segments.save import save_segment
from regulars.usecases.process_event import corrected, process_inbox

pytestmark = pytest.mark.django_db
NUMBERS = itertools.count(1)
NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)


@pytest.fixture
def send(standard_setup):
    """Put messages into the inbox as the collector does, and let the worker take them."""
    source = Source.objects.create(name="Shop", slug="shop")

    def deliver(*messages: dict, sent_at: str = "") -> list[InboxItem]:
        items = [
            InboxItem.objects.create(
                source=source,
                message_id=message.get("messageId") or f"m-{next(NUMBERS)}",
                type=message["type"],
                body=json.dumps(message),
                sent_at=sent_at,
                received_at=timezone.now(),
            )
            for message in messages
        ]
        while process_inbox():
            pass
        for item in items:
            item.refresh_from_db()
        return items

    return deliver


def viewed(**who: str) -> dict:
    return {"type": "track", "event": "Product Viewed", "properties": {"category": "jackets"}, **who}


def events_of(profile: Profile) -> list[str]:
    return [event.name for event in Event.objects.filter(profile_id=profile.pk).order_by("id")]


def test_a_visitor_is_a_profile_without_an_account(send):
    send(viewed(anonymousId="a-1"), viewed(anonymousId="a-1"))
    visitor = find_by_identity("anonymous", "a-1")

    assert visitor is not None
    assert visitor.account is None
    assert events_of(visitor) == ["Product Viewed", "Product Viewed"]


def test_events_of_a_visitor_become_the_customers(send, chika):
    send(viewed(anonymousId="a-1"))
    visitor = find_by_identity("anonymous", "a-1")
    send({"type": "identify", "anonymousId": "a-1", "userId": chika.user_id, "traits": {}})
    visitor.refresh_from_db()

    assert visitor.merged_into == chika
    assert events_of(chika) == ["Product Viewed", "Identified"]
    assert find_by_identity("anonymous", "a-1") == chika


def test_events_of_a_merged_visitor_move_in_the_lake_too(send, chika, lake):
    send(viewed(anonymousId="a-1"))
    while run_due():
        pass
    Event.objects.update(lake_at=None, lake_batch=None)  # whether or not the gathering pause is over
    from regulars.usecases.lake import fill_lake

    fill_lake({})
    send(viewed(anonymousId="a-1", userId=chika.user_id))
    from regulars.base.jobs.models import Job

    Job.objects.update(due_at=timezone.now())
    while run_due():
        pass

    assert query("SELECT DISTINCT profile_id, count(*) FROM events GROUP BY profile_id") == [(chika.pk, 2)]


def test_a_browser_that_belongs_to_another_customer_changes_nothing_between_them(send, chika):
    send(viewed(anonymousId="a-1", userId=chika.user_id))
    send(viewed(anonymousId="a-1", userId="dov-7"))
    dov = find_by_identity("external", "dov-7")

    assert find_by_identity("anonymous", "a-1") == chika
    assert events_of(chika) == ["Product Viewed"]
    assert events_of(dov) == ["Product Viewed"]


@pytest.mark.parametrize("placeholder", ["", "null", "undefined", "anonymous", "-1", "00000000-0000", None])
def test_placeholder_ids_make_no_customer(send, placeholder):
    (item,) = send(viewed(userId=placeholder))

    assert item.rejected == "no_id"
    assert not Profile.objects.exists()


def test_traits_with_an_attribute_become_facts_with_their_source(send):
    traits = {"firstName": "Chika", "address": {"country": "JP"}, "favourite_colour": "pine"}
    send({"type": "identify", "userId": "c-1", "traits": traits})
    facts = {fact.attribute: fact for fact in Fact.objects.all()}

    assert facts["given_name"].value == "Chika"
    assert (facts["country"].value, facts["country"].source, facts["country"].source_kind) == (
        "JP",
        "app:shop",
        "observed",
    )
    assert facts["continent"].derived_from == [facts["country"].pk]
    assert "favourite_colour" not in facts
    assert Event.objects.get().properties["favourite_colour"] == "pine"


def test_event_changes_segments_at_once(send, chika):
    save_segment("Jackets", 'did("Product Viewed" where category:jackets):>=1', "measure")
    send(viewed(userId=chika.user_id))

    assert Membership.objects.get(profile=chika).state == "in"


def test_the_same_message_twice_happens_once(send, chika):
    message = viewed(userId=chika.user_id)
    first, _ = send(message, message)
    again = Event.objects.get(message_id=first.message_id)
    InboxItem.objects.filter(pk=first.pk).update(processed_at=None)
    process_inbox()

    assert Event.objects.filter(message_id=again.message_id).count() == 1


def test_unforeseen_message_is_kept_with_its_error_and_blocks_no_other(send, chika, monkeypatch):
    from regulars.usecases import process_event

    def unlucky(message, type_):
        raise ZeroDivisionError

    monkeypatch.setitem(process_event.NAMES, "page", "Page Viewed")
    monkeypatch.setattr(process_event, "properties_of", unlucky)
    (item,) = send(viewed(userId=chika.user_id))
    monkeypatch.undo()
    send(viewed(userId=chika.user_id))

    assert item.rejected == "failed:ZeroDivisionError"
    assert events_of(chika) == ["Product Viewed"]


@pytest.mark.parametrize(
    ("timestamp", "sent_at", "happened"),
    [
        ("2026-11-24T11:00:00Z", "2026-11-24T11:00:10Z", NOON - dt.timedelta(seconds=10)),
        ("2026-11-24T11:00:00", "", NOON - dt.timedelta(hours=1)),
        ("2030-01-01T00:00:00Z", "", NOON),
        ("1969-01-01T00:00:00Z", "", NOON),
        ("0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", NOON),
        ("yesterday", "", NOON),
        (None, "", NOON),
        (17, "x", NOON),
    ],
)
def test_only_differences_of_the_senders_clock_are_believed(timestamp, sent_at, happened):
    assert corrected(timestamp, sent_at, NOON) == happened


def test_public_write_key_verifies_nothing_and_writes_no_app_metadata(send, chika):
    Attribute.objects.create(key="role", label="Role", purposes=["serve"], metadata_path="app_metadata.role")
    traits = {
        "email": "ana@shop.example",
        "email_verified": True,
        "phone_verified": True,
        "username": "ana",
        "role": "admin",
    }
    send({"type": "identify", "userId": chika.user_id, "traits": traits})
    user = served_user(chika)

    assert user["email"] == "ana@shop.example"
    assert not {"email_verified", "phone_verified", "username", "app_metadata"} & user.keys()


def test_an_address_that_an_event_brings_does_not_inherit_the_proof_of_another(send, chika):
    proved = [
        NewFact("email", "chika@example.com", "social", "twitter"),
        NewFact("email_verified", True, "verified", "twitter"),
    ]
    learn(chika, proved)
    send({"type": "identify", "userId": chika.user_id, "traits": {"email": "ana@shop.example"}})
    chika.refresh_from_db()

    assert (chika.document["email"], chika.document["email_verified"]) == ("ana@shop.example", False)
    assert (served_user(chika)["email"], served_user(chika)["email_verified"]) == ("ana@shop.example", False)


@pytest.mark.parametrize(
    "odd",
    [
        {"userId": "dov\x00"},
        {"anonymousId": "a-\x00"},
        {"userId": "dov", "traits": {"ci\x00ty": "Porto"}},
        {"userId": "dov", "traits": {"city": "\ud83d"}},
        {"userId": "dov", "traits": {"city": float("inf"), "x": float("nan")}},
        {"userId": "dov", "context": {"screen": {"density": float("-inf")}}},
    ],
    ids=["id", "visitor", "trait", "half-emoji", "endless", "context"],
)
def test_unstorable_message_blocks_no_other(send, odd):
    (item, after) = send({"type": "identify", **odd}, viewed(userId="fay"))

    assert item.processed_at
    assert not item.rejected
    assert after.processed_at
