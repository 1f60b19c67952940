"""What the inbox keeps with plain SQL reads the same as what the ORM writes."""

from __future__ import annotations

import datetime as dt

import pytest

from regulars.base import clock
from regulars.events.inbox import InboxRequest, UnknownKeys, keep
from regulars.events.models import InboxItem, Rejection, Source
from regulars.events.segment_format import InboxMessage
from regulars.events.sources import replace_key

NOON = dt.datetime(2026, 5, 5, 12, tzinfo=dt.UTC)


@pytest.mark.django_db(transaction=True)
def test_the_moment_of_receipt_can_be_compared(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOON)
    shop = Source.objects.create(name="Shop", slug="shop")
    message = InboxMessage("m-1", "track", '{"event": "Product Viewed"}')

    keep([InboxRequest(shop.write_key, [message], [], "", None)], UnknownKeys())

    assert InboxItem.objects.get(received_at=NOON).message_id == "m-1"
    assert InboxItem.objects.filter(received_at__lt=NOON).count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_servers_key_is_found_by_its_fingerprint_and_refused_from_browsers():
    Source.objects.create(name="Backend", slug="backend")
    key = replace_key("backend", "server")
    message = InboxMessage("m-1", "track", '{"event": "Product Viewed"}')
    in_browser = InboxRequest(key, [message], [], "", None, from_browser=True)
    by_fingerprint = InboxRequest(Source.objects.get().write_key, [message], [], "", None)

    assert keep([in_browser, by_fingerprint], UnknownKeys()) == [in_browser]
    assert not InboxItem.objects.exists()
    assert set(Rejection.objects.values_list("reason", flat=True)) == {"server_key_in_browser", "unknown_write_key"}

    assert keep([InboxRequest(key, [message], [], "", None)], UnknownKeys()) == []
    assert InboxItem.objects.get().message_id == "m-1"


@pytest.mark.django_db(transaction=True)
def test_a_public_key_is_taken_from_browsers():
    shop = Source.objects.create(name="Shop", slug="shop")
    message = InboxMessage("m-1", "track", '{"event": "Product Viewed"}')

    assert keep([InboxRequest(shop.write_key, [message], [], "", None, from_browser=True)], UnknownKeys()) == []
    assert InboxItem.objects.count() == 1
