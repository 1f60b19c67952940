"""Read events: the timeline of a profile, and the events that conditions count."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.db import connection

from regulars.base.conditions import NeededEvents

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


def read_needed(profile_ids: Collection[int], needed: Mapping[str, NeededEvents]) -> dict[tuple[int, str], list[Event]]:
    """Return the events of these profiles that conditions need, by profile and name, oldest first.

    Only `at` and `terms` of them are read, by one statement for `READ_TOGETHER` names of profiles.
    """
    selects = [
        select
        for profile_id in profile_ids
        for name, need in needed.items()
        for select in _selects(profile_id, name, need)
    ]
    events: dict[int, Event] = {}
    for start in range(0, len(selects), READ_TOGETHER):
        some = selects[start : start + READ_TOGETHER]
        sql = " UNION ALL ".join(text for text, _ in some)
        for event in Event.objects.raw(sql, [value for _, values in some for value in values]):
            events[event.pk] = event
    found: dict[tuple[int, str], list[Event]] = {}
    for event in sorted(events.values(), key=lambda each: (each.at, each.pk)):
        found.setdefault((event.profile_id, event.name), []).append(event)
    return found


READ_TOGETHER = 100  # below the number of selects that SQLite joins
_OF_NAME = 'SELECT id, profile_id, name, "at", terms FROM events_event WHERE profile_id = %s AND name = %s'


def _selects(profile_id: int, name: str, need: NeededEvents) -> Iterator[tuple[str, list[Any]]]:
    """Yield statements with their values that together read what is needed, each by the index of profile, name and time."""
    own = [profile_id, name]
    if need.since is not None:
        yield f'{_OF_NAME} AND "at" >= %s', [*own, connection.ops.adapt_datetimefield_value(need.since)]
    if need.newest:
        yield f'SELECT * FROM ({_OF_NAME} ORDER BY "at" DESC LIMIT {need.newest}) AS newest', own  # noqa: S608 - our own text and numbers
    if need.oldest:
        yield f'SELECT * FROM ({_OF_NAME} ORDER BY "at" LIMIT 1) AS oldest', own  # noqa: S608
