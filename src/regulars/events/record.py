"""Write down what happened: what others sent, and what the house itself saw."""

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


class Particulars(TypedDict, total=False):
    """What may be said of an event beside who, what and its properties. Times are aware; `at` is now unless said."""

    at: dt.datetime
    type: str
    message_id: str
    source: Source | None
    context: dict[str, Any]
    received_at: dt.datetime


def record(
    profile_id: int, name: str, properties: dict[str, Any] | None = None, **particulars: Unpack[Particulars]
) -> Event:
    """Append one event of a profile. A message id seen before adds nothing and returns the first event.

    Use cases call `usecases.unit_of_work.changes` instead, which also evaluates segments.
    """
    event = new_event(profile_id, name, properties, **particulars)
    append(event)
    return Event.objects.get(message_id=event.message_id)


append = CompiledInsert(Event, or_leave=True)  # one event made by `new_event`, the same way


def record_all(events: Iterable[Event]) -> None:
    """Append many (imports), made by `new_event`; those with a message id seen before add nothing."""
    Event.objects.bulk_create(events, batch_size=500, ignore_conflicts=True)


def new_event(
    profile_id: int, name: str, properties: dict[str, Any] | None = None, **particulars: Unpack[Particulars]
) -> Event:
    """An event ready to be written: storable, with its terms."""
    now = clock.now()
    properties = storable(properties or {})
    return Event(
        message_id=particulars.get("message_id") or f"house-{uuid.uuid4()}",
        profile_id=profile_id,
        source=particulars.get("source"),
        type=particulars.get("type", "track"),
        name=storable(name)[:255],
        at=particulars.get("at", now),
        received_at=particulars.get("received_at", now),
        properties=properties,
        terms=event_terms(properties),
        context=storable(particulars.get("context", {})),
    )
