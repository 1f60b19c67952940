"""Write down what happened: what others sent, and what the house itself saw."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from regulars.base.conditions import event_terms
from regulars.base.kit import clock
from regulars.base.kit.text import storable

from .models import Event, Source


def record(
    profile_id: int,
    name: str,
    properties: dict[str, Any] | None = None,
    *,
    at: dt.datetime | None = None,
    type: str = "track",  # noqa: A002 - Segment's word
    message_id: str | None = None,
    source: Source | None = None,
    context: dict[str, Any] | None = None,
    received_at: dt.datetime | None = None,
) -> Event:
    """Append one event of a profile. A message id seen before adds nothing and returns the first event.

    The caller then calls `flows.refresh.after_event`, so that segments follow in the same transaction.
    """
    now = clock.now()
    properties = storable(properties or {})
    event, _ = Event.objects.get_or_create(
        message_id=message_id or f"house-{uuid.uuid4()}",
        defaults={
            "profile_id": profile_id,
            "source": source,
            "type": type,
            "name": storable(name)[:255],
            "at": at or now,
            "received_at": received_at or now,
            "properties": properties,
            "terms": event_terms(properties),
            "context": storable(context or {}),
        },
    )
    return event
