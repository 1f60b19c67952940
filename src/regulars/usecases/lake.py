"""Bring what is new to the lake, and take out who left: events in numbered batches, views by replacement.

A batch is first promised (its number is written on the events), then committed to the lake, then marked as there. Whoever
dies in between leaves a promise that the next run keeps, and the lake refuses a number it already has: no event is lost
and none is there twice.
"""

from __future__ import annotations

import datetime as dt
import time

from django.db import connection, transaction
from django.utils import timezone

from regulars.base.jobs.tasks import enqueue, enqueue_once, handles
from regulars.base.lake.tables import (
    EventRow,
    ViewRow,
    append_events,
    delete_events_before,
    delete_profiles,
    purge,
    replace_views,
)
from regulars.consent.models import PermittedView
from regulars.events.models import Event
from regulars.profiles.find import ANONYMOUS

BATCH = 20_000
KEY = "lake"  # one writer at a time, in order
GATHER = 2.0  # seconds in which changes gather before the lake is written


def queue_lake_fill() -> None:
    enqueue_once("lake.fill", {}, key=KEY, after=GATHER)


def queue_lake_removal(profile_ids: list[int]) -> None:
    """Take profiles out (merge, erasure). In line behind a filling that may still be on its way with their rows."""
    enqueue("lake.leave", {"profiles": profile_ids}, key=KEY)


def queue_lake_rewrite(profile_ids: list[int]) -> None:
    """Take profiles out and write them anew: some of what the lake has under their numbers belongs to others now."""
    enqueue("lake.rewrite", {"profiles": profile_ids}, key=KEY)


@handles("lake.rewrite", attempts=50, non_transactional=True)
def rewrite_in_lake(payload: dict[str, list[int]]) -> None:
    delete_profiles(payload["profiles"])
    Event.objects.filter(profile_id__in=payload["profiles"]).update(lake_batch=None, lake_at=None)
    PermittedView.objects.filter(profile__in=payload["profiles"]).update(lake_at=None)
    fill_lake({})


def queue_lake_expiry(at: dt.datetime) -> None:
    """Take out what happened before an instant (retention)."""
    enqueue_once("lake.leave_before", {"at": at.isoformat()}, key=KEY)


def queue_lake_purge() -> None:
    """After somebody was taken out: drop the files that still have her, in line behind the taking out."""
    enqueue("lake.purge", {}, key=KEY)


@handles("lake.leave_before", attempts=50, non_transactional=True)
def leave_before(payload: dict[str, str]) -> None:
    delete_events_before(dt.datetime.fromisoformat(payload["at"]))


@handles("lake.purge", attempts=50, non_transactional=True)
def purge_lake(payload: dict[str, str]) -> None:
    purge()
    wipe_log()


@handles("lake.leave", attempts=50, non_transactional=True)
def leave_lake(payload: dict[str, list[int]]) -> None:
    delete_profiles(payload["profiles"])


@handles("lake.fill", attempts=50, non_transactional=True)
def fill_lake(payload: dict[str, str]) -> None:
    """The job: everything that is not in the lake yet."""
    while fill_events():
        pass
    while fill_views():
        pass


def fill_events() -> int:
    """Keep the oldest promise, or make one and keep it. Returns how many events are now known to be in the lake."""
    batch = _oldest_promise() or _new_promise()
    if batch is None:
        return 0
    events = Event.objects.filter(lake_batch=batch, lake_at=None)
    rows = [
        EventRow(each.profile_id, each.message_id, each.type, each.name, each.at, each.terms, each.properties)
        for each in events.iterator(chunk_size=2000)
    ]
    append_events(rows, batch)
    return events.update(lake_at=timezone.now())


def fill_views() -> int:
    """Replace views that changed. A view that changes again meanwhile stays due."""
    due = list(
        PermittedView.objects.filter(lake_at=None, profile__merged_into=None)
        .exclude(profile__user_id__startswith=ANONYMOUS)
        .order_by("id")[:BATCH]
    )
    replace_views([ViewRow(view.profile_id, view.purpose_id, view.terms) for view in due])
    _mark_as_there(due)
    return len(due)


def _mark_as_there(views: list[PermittedView]) -> None:
    """As they were read: views refreshed together share their moment, so that an import is marked in few statements."""
    now = timezone.now()
    together: dict[dt.datetime, list[int]] = {}
    for view in views:
        together.setdefault(view.refreshed_at, []).append(view.pk)
    with transaction.atomic():
        for refreshed_at, ids in together.items():
            PermittedView.objects.filter(pk__in=ids, refreshed_at=refreshed_at).update(lake_at=now)


def wipe_log() -> None:
    """SQLite's log still has the pages as they were: write it into the database and empty it."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _oldest_promise() -> int | None:
    promised = Event.objects.filter(lake_at=None, lake_batch__isnull=False)
    return promised.order_by("lake_batch").values_list("lake_batch", flat=True).first()


def _new_promise() -> int | None:
    """Numbers only grow: the microsecond, in which one writer makes at most one batch."""
    batch = time.time_ns() // 1000
    waiting = Event.objects.filter(lake_at=None, lake_batch=None).order_by("id").values_list("id", flat=True)[:BATCH]
    with transaction.atomic():
        promised = Event.objects.filter(id__in=list(waiting), lake_batch=None).update(lake_batch=batch)
    return batch if promised else None
