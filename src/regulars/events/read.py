"""Read events: the timeline of a profile, and the events that conditions count."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from .models import Event
from .own_events import OWN_SOURCE


def timeline(
    profile_id: int, limit: int = 50, before: dt.datetime | None = None, *, own: bool = True, sent: bool = True
) -> list[Event]:
    """Return at most `limit` events before an instant, newest first (keyset paging).

    `own` are those that Regulars recorded itself, `sent` those of sources; without one of them the others are listed.
    """
    events = Event.objects.filter(profile_id=profile_id)
    if not own:
        events = events.exclude(source=None)
    if not sent:
        events = events.filter(source=None)
    if before is not None:
        events = events.filter(at__lt=before)
    return list(events.select_related("source").order_by("-at", "-id")[:limit])


def happened(profile_id: int, most: int) -> list[tuple[str, dt.datetime]]:
    """Return (name, instant) of the newest events of a profile, oldest first."""
    newest = Event.objects.filter(profile_id=profile_id).order_by("-at", "-id").values_list("name", "at")[:most]
    return list(newest)[::-1]


def source_of(event: Event) -> str:
    """Return the slug of the source that sent an event; of our own events `OWN_SOURCE`."""
    return event.source.slug if event.source else OWN_SOURCE


def named(profile_ids: Collection[int], names: Collection[str]) -> list[Event]:
    """Return all events of these profiles with these names, oldest first."""
    events = Event.objects.filter(profile_id__in=profile_ids, name__in=names)
    return list(events.order_by("profile_id", "at", "id"))
