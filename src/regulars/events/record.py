"""Append events: those that sources sent, and those that Regulars records itself."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from typing import Any, TypedDict, Unpack

from regulars.base import clock
from regulars.base.conditions import event_terms
from regulars.base.db.compiled_query import CompiledInsert
from regulars.base.text import storable

from .models import Event, Source


class EventDetails(TypedDict, total=False):
    """Optional fields of an event. Times are aware; `at` defaults to now."""

    at: dt.datetime
    type: str
    message_id: str
    source: Source | None
    context: dict[str, Any]
    message: dict[str, Any]
    marks: list[str]
    received_at: dt.datetime


def record(
    profile_id: int, name: str, properties: dict[str, Any] | None = None, **details: Unpack[EventDetails]
) -> Event:
    """Append one event of a profile. A known message id adds nothing and returns the first event.

    Use cases call `usecases.unit_of_work.changes` instead, which also evaluates segments.
    """
    event = new_event(profile_id, name, properties, **details)
    append(event)
    return Event.objects.get(message_id=event.message_id)


append = CompiledInsert(Event, or_leave=True)  # an event of `new_event`; a known message id adds nothing


def record_all(events: Iterable[Event]) -> None:
    """Append many events of `new_event`; those with a known message id add nothing."""
    Event.objects.bulk_create(events, batch_size=500, ignore_conflicts=True)


def new_event(
    profile_id: int, name: str, properties: dict[str, Any] | None = None, **details: Unpack[EventDetails]
) -> Event:
    """Return an event ready to be written: storable, with its terms."""
    now = clock.now()
    properties = storable(properties or {})
    return Event(
        message_id=details.get("message_id") or f"regulars-{uuid.uuid4()}",
        profile_id=profile_id,
        source=details.get("source"),
        type=details.get("type", "track"),
        name=storable(name)[:255],
        at=details.get("at", now),
        received_at=details.get("received_at", now),
        properties=properties,
        terms=event_terms(properties),
        context=storable(details.get("context", {})),
        message=storable(details.get("message", {})),
        marks=details.get("marks", []),
    )
