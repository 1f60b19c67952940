"""Every field of every call of Segment's specification is in the stored event: database, API and lake."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from tests.management_api.conftest import api_client

from regulars.base import clock
from regulars.base.lake.query import query
from regulars.events.models import Event, InboxItem, Source
from regulars.events.segment_format import parse
from regulars.profiles.models import Profile
from regulars.usecases.lake import fill_lake
from regulars.usecases.process_event import process_inbox

__all__ = ["api_client"]  # a fixture
pytestmark = pytest.mark.django_db

CONTEXT = {
    "active": False,
    "app": {"name": "Shop", "version": "1.2", "build": "7", "namespace": "com.example.shop"},
    "campaign": {"name": "autumn", "source": "mail", "medium": "m", "term": "t", "content": "c", "id": "x"},
    "device": {"id": "d", "advertisingId": "ad", "adTrackingEnabled": True, "manufacturer": "M", "model": "X"},
    "ip": "192.0.2.1",
    "direct": True,
    "library": {"name": "analytics.js", "version": "1"},
    "locale": "pt-PT",
    "timezone": "Europe/Lisbon",
    "userAgent": "Mozilla",
    "userAgentData": {"brands": [{"brand": "Chromium", "version": "99"}], "mobile": False, "platform": "Linux"},
    "network": {"bluetooth": False, "carrier": "C", "cellular": True, "wifi": False},
    "os": {"name": "iOS", "version": "18"},
    "screen": {"width": 320, "height": 568, "density": 2.5},
    "page": {"path": "/a", "referrer": "r", "search": "?q", "title": "T", "url": "https://shop.example/a"},
    "referrer": {"id": "r", "type": "ad"},
    "groupId": "g-0",
    "traits": {"plan": "gold"},
    "amp": {"id": "amp-1"},
    "externalIds": [{"id": "e-1", "type": "crm", "collection": "users", "encoding": "none"}],
    "consent": {"categoryPreferences": {"Advertising": False}},
}
COMMON = {
    "userId": "dov-1",
    "anonymousId": "a-1",
    "integrations": {"All": False, "Mixpanel": {"x": 1}},
    "timestamp": "2026-11-24T11:00:00.000Z",
    "originalTimestamp": "2026-11-24T10:59:00.000Z",
    "sentAt": "2026-11-24T11:00:01.000Z",
    "receivedAt": "2026-11-24T11:00:02.000Z",
    "channel": "browser",
    "version": 2,
    "_metadata": {"bundled": ["Segment.io"], "retryCount": 1},
    "projectId": "something of our own",
}
CALLS: dict[str, dict[str, Any]] = {
    "identify": {"traits": {"email": "dov@example.com", "age": 42, "address": {"city": "Porto"}, "createdAt": None}},
    "track": {
        "event": "Order Completed",
        "properties": {"revenue": 19.5, "products": [{"sku": "x"}]},
        "traits": {"a": 1},
    },
    "page": {"name": "Home", "category": "Shop", "properties": {"url": "https://shop.example", "keywords": ["a"]}},
    "screen": {"name": "Home", "category": "Shop", "properties": {"x": 1}},
    "group": {"groupId": "acme", "traits": {"name": "Acme", "employees": 7, "plan": "gold"}},
    "alias": {"previousId": "a-0"},
}


def sent(type_: str) -> dict[str, Any]:
    return {"type": type_, "messageId": f"m-{type_}", **COMMON, "context": CONTEXT, **CALLS[type_]}


@pytest.fixture
def stored(standard_setup):
    """Send a message as the collector takes it, and return its event."""
    source = Source.objects.create(name="Shop", slug="shop")

    def store(word: str, body: object) -> Event:
        [message] = parse(word, json.dumps(body).encode()).messages
        InboxItem.objects.create(
            source=source, message_id=message.message_id, type=message.type, body=message.body, received_at=clock.now()
        )
        process_inbox()
        return Event.objects.get(message_id=message.message_id)

    return store


def places(type_: str) -> list[tuple[str, str, Any]]:
    """Return (field, place on the event, value) for every field of a call."""
    found = []
    for name, value in sent(type_).items():
        if name in ("type", "messageId"):
            found.append((name, "", value))
        elif name == "event":
            found.append((name, "name", value))
        elif name == ("traits" if type_ in ("identify", "group") else "properties"):
            found += [(name, f"properties.{key}", inner) for key, inner in value.items()]
        elif name == "context":
            found += [(name, f"context.{key}", inner) for key, inner in value.items()]
        else:
            found.append((name, f"message.{name}", value))
    return found


def at(event: dict[str, Any], place: str) -> Any:
    outer, _, inner = place.partition(".")
    return event[outer][inner] if inner else event[outer]


@pytest.mark.parametrize("type_", CALLS)
def test_every_field_is_in_the_database(stored, type_):
    event = stored("batch", {"batch": [sent(type_)]})

    assert (event.type, event.message_id) == (type_, f"m-{type_}")
    for field, place, value in places(type_):
        if place:
            assert at(vars(event), place) == value, field


@pytest.mark.parametrize("type_", CALLS)
def test_every_field_is_in_the_answer_of_the_api(stored, type_, api_client):
    event = stored(type_[0], {key: value for key, value in sent(type_).items() if key != "type"})
    owner = quote(Profile.objects.get(pk=event.profile_id).user_id, safe="")
    [answer] = api_client.get(f"/regulars/v1/profiles/{owner}/timeline")["events"]

    assert (answer["type"], answer["message_id"], answer["source"]) == (type_, f"m-{type_}", "shop")
    for field, place, value in places(type_):
        if place:
            assert at(answer, place) == value, field


@pytest.mark.parametrize("type_", CALLS)
def test_every_field_is_in_the_lake(stored, type_, lake):
    stored("batch", {"batch": [sent(type_)]})
    fill_lake({})
    [(name, found_type, message_id, source, *texts)] = query(
        "SELECT name, type, message_id, source, properties, context, message FROM events"
    )
    row = {"name": name, **dict(zip(("properties", "context", "message"), map(json.loads, texts), strict=True))}

    assert (found_type, message_id, source) == (type_, f"m-{type_}", "shop")
    for field, place, value in places(type_):
        if place:
            assert at(row, place) == value, field


def test_the_group_of_a_group_call_can_be_asked_for_in_conditions(stored):
    assert stored("batch", {"batch": [sent("group")]}).terms["groupId"] == ["s:acme"]
