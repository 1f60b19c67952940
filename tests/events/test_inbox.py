"""What the inbox keeps with plain SQL reads the same as what the ORM writes."""

from __future__ import annotations

import datetime as dt

import pytest

from regulars.base import clock
from regulars.events.inbox import InboxRequest, _Sources, keep
from regulars.events.models import InboxItem, Source
from regulars.events.segment_format import InboxMessage

NOON = dt.datetime(2026, 5, 5, 12, tzinfo=dt.UTC)


@pytest.mark.django_db(transaction=True)
def test_the_moment_of_receipt_can_be_compared(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOON)
    shop = Source.objects.create(name="Shop", slug="shop")
    message = InboxMessage("m-1", "track", '{"event": "Product Viewed"}')

    keep([InboxRequest(shop.write_key, [message], [], "", None)], _Sources())

    assert InboxItem.objects.get(received_at=NOON).message_id == "m-1"
    assert InboxItem.objects.filter(received_at__lt=NOON).count() == 0
