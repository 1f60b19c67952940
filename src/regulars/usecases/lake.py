"""Fill the lake, and delete profiles from it: events in numbered batches, views by replacement.

A batch is first assigned (its number is written on the events), then committed to the lake, then confirmed. A process
that dies in between leaves an assignment that the next run completes, and the lake refuses a number it already has: no
event is lost and none is there twice.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import connection, transaction
from django.utils import timezone

from regulars.base.jobs.models import OPEN, Job
from regulars.base.jobs.predecessors import skip_locked
from regulars.base.jobs.tasks import enqueue, enqueue_once, handles
from regulars.base.lake.query import query
from regulars.base.lake.tables import (
    EventRow,
    ViewRow,
    append_events,
    clear,
    delete_events_before,
    next_batch,
    remove_profiles,
    replace_views,
)
from regulars.base.lake.upkeep import gather, purge, tidy
from regulars.consent.models import PermittedView
from regulars.events.models import Event
from regulars.events.read import source_of
from regulars.profiles.known_customers import ANONYMOUS

BATCH = 20_000
KEY = "lake"  # one writer at a time, in order
REWRITTEN_TOGETHER = 10_000  # profiles
PURGED_WITHIN = dt.timedelta(minutes=5)  # of an erasure, when others follow it all the time
GATHER = 2.0  # seconds in which changes gather before the lake is written


def queue_lake_fill() -> None:
    enqueue_once("lake.fill", {}, key=KEY, after=GATHER)


def queue_lake_removal(profile_ids: list[int]) -> None:
    """Queue the deletion of profiles (merge, erasure), behind a fill that may still write their rows."""
    enqueue("lake.leave", {"profiles": profile_ids}, key=KEY)


def queue_lake_rewrite(profile_ids: list[int]) -> None:
    """Queue a rewrite of profiles: some rows of the lake under their ids are others now, or belong to other profiles.

    With one that waits for the lake, in the caller's transaction.
    """
    jobs = Job.objects.filter(OPEN, kind="lake.rewrite", key=KEY, state=Job.State.WAITING)
    waiting = skip_locked(jobs).order_by("id").last()
    if waiting is None or len(waiting.payload["profiles"]) >= REWRITTEN_TOGETHER:
        enqueue("lake.rewrite", {"profiles": profile_ids}, key=KEY)
        return
    waiting.payload = {"profiles": sorted({*waiting.payload["profiles"], *profile_ids})}
    waiting.save(update_fields=["payload"])


@handles("lake.rewrite", attempts=50, non_transactional=True)
def rewrite_in_lake(payload: dict[str, list[int]]) -> None:
    remove_profiles(payload["profiles"])
    Event.objects.filter(profile_id__in=payload["profiles"]).update(lake_batch=None, lake_at=None)
    PermittedView.objects.filter(profile__in=payload["profiles"]).update(lake_at=None)
    fill_lake({})


@transaction.atomic
def queue_lake_expiry(at: dt.datetime) -> None:
    """Queue the deletion of events before an instant (retention). One that waits already takes the later instant."""
    jobs = Job.objects.filter(OPEN, kind="lake.leave_before", key=KEY, state=Job.State.WAITING)
    waiting = skip_locked(jobs).order_by("id").last()
    if waiting is None:
        enqueue("lake.leave_before", {"at": at.isoformat()}, key=KEY)
    elif dt.datetime.fromisoformat(waiting.payload["at"]) < at:
        waiting.payload = {"at": at.isoformat()}
        waiting.save(update_fields=["payload"])


def queue_lake_purge() -> None:
    """Queue the removal of deleted profiles from the files, behind their deletion."""
    enqueue("lake.purge", {"at": timezone.now().isoformat()}, key=KEY)


def queue_lake_tidying() -> None:
    enqueue_once("lake.tidy", {}, key=KEY)


@handles("lake.leave_before", attempts=50, non_transactional=True)
def leave_before(payload: dict[str, str]) -> None:
    delete_events_before(dt.datetime.fromisoformat(payload["at"]))


@handles("lake.purge", attempts=50, non_transactional=True)
def purge_lake(payload: dict[str, str]) -> None:
    """Remove deleted profiles from the files, or leave it to the purge that waits behind: one serves many erasures."""
    behind = Job.objects.filter(OPEN, kind="lake.purge", key=KEY, state=Job.State.WAITING)
    is_new = "at" in payload and timezone.now() - dt.datetime.fromisoformat(payload["at"]) < PURGED_WITHIN
    if is_new and behind.exists():
        return
    purge()
    wipe_log()


@handles("lake.tidy", attempts=50, non_transactional=True)
def tidy_lake(payload: dict[str, str]) -> None:
    tidy()


@handles("lake.leave", attempts=50, non_transactional=True)
def leave_lake(payload: dict[str, list[int]]) -> None:
    # What a fill wrote of them since this was queued, and was to stay, is written again.
    rewrite_in_lake(payload)


def queue_lake_refill() -> Job:
    """Queue a refill. Counts are incomplete while it runs."""
    return enqueue("lake.refill", {}, key=KEY)


@handles("lake.refill", attempts=50, non_transactional=True)
def refill_lake(payload: dict[str, str]) -> None:
    """Delete the lake and write it anew: everything in it is in the database too. Safe to repeat after a crash."""
    clear()
    # A lake in a bucket remembers the last batch, and would take an older one for committed.
    Event.objects.filter(lake_at=None, lake_batch__isnull=False).update(lake_batch=None)
    last = 0
    while ids := list(Event.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        # Assigned portion by portion: with all of them waiting at once, each batch would look through all of them.
        Event.objects.filter(pk__gt=last, pk__lte=ids[-1]).update(lake_batch=next_batch(), lake_at=None)
        fill_events()
        last = ids[-1]
    last = 0
    while ids := list(PermittedView.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        # In portions as well: SQLite has one writer at a time, and logins write views.
        PermittedView.objects.filter(pk__gt=last, pk__lte=ids[-1]).exclude(lake_at=None).update(lake_at=None)
        last = ids[-1]
    fill_lake({})


@handles("lake.fill", attempts=50, non_transactional=True)
def fill_lake(payload: dict[str, str]) -> None:
    """Write everything that is not in the lake yet."""
    while fill_events():
        pass
    while fill_views():
        pass
    gather()


@dataclass(frozen=True)
class TableComparison:
    """Rows of one table in the lake and in the database.

    `least` and `most`: what the lake may have, because a batch that is being committed is in it before it is confirmed.
    `distinct` leaves out copies. `pending`: queued deletions and rewrites, after which the counts are to agree.
    """

    name: str
    rows: int
    distinct: int
    least: int
    most: int
    pending: int

    @property
    def agrees(self) -> bool:
        return self.pending > 0 or (self.rows == self.distinct and self.least <= self.rows <= self.most)


def compare_lake() -> list[TableComparison]:
    """Compare the rows of both tables with the database. Reads all ids: for operators, not for pages.

    Raises `Invalid`: `lake_damaged`, `lake_out_of_reach`.
    """
    views = PermittedView.objects.filter(profile__merged_into=None).exclude(profile__user_id__startswith=ANONYMOUS)
    pending = Job.objects.filter(OPEN, key=KEY).exclude(kind__in=("lake.fill", "lake.purge", "lake.tidy"))
    found = []
    for name, key, confirmed, unconfirmed in (
        (
            "events",
            "message_id",
            Event.objects.exclude(lake_at=None),
            Event.objects.filter(lake_at=None, lake_batch__gt=0),
        ),
        ("views", "(profile_id, purpose)", views.exclude(lake_at=None), views.filter(lake_at=None)),
    ):
        changing, before = pending.count(), confirmed.count()
        [(rows, distinct)] = query(f"SELECT count(*), count(DISTINCT {key}) FROM {name}")  # noqa: S608 - our own names
        after, changing = confirmed.count(), max(changing, pending.count())
        most = max(before, after) + unconfirmed.count()
        found.append(TableComparison(name, rows, distinct, min(before, after), most, changing))
    return found


def fill_events() -> int:
    """Commit the oldest assigned batch, or assign one and commit it. Returns how many events were confirmed."""
    assigned = Event.objects.filter(lake_at=None, lake_batch__isnull=False).order_by("lake_batch")
    batch = assigned.values_list("lake_batch", flat=True).first()
    if batch is None:
        batch = next_batch()
        waiting = Event.objects.filter(lake_at=None, lake_batch=None).order_by("id").values_list("id", flat=True)
        with transaction.atomic():
            if not Event.objects.filter(id__in=list(waiting[:BATCH]), lake_batch=None).update(lake_batch=batch):
                return 0
    events = Event.objects.filter(lake_batch=batch, lake_at=None)
    rows = [
        EventRow(
            each.profile_id,
            each.message_id,
            each.type,
            each.name,
            each.at,
            each.terms,
            each.properties,
            source_of(each),
            each.received_at,
            each.context,
            each.message,
            each.marks,
        )
        for each in events.select_related("source").iterator(chunk_size=2000)
    ]
    append_events(rows, batch)
    return events.update(lake_at=timezone.now())


def fill_views() -> int:
    """Replace changed views. A view that changes again meanwhile stays due."""
    due = list(
        PermittedView.objects.filter(lake_at=None, profile__merged_into=None)
        .exclude(profile__user_id__startswith=ANONYMOUS)
        .order_by("id")[:BATCH]
    )
    replace_views([ViewRow(view.profile_id, view.purpose_id, view.terms) for view in due])
    # Confirmed as they were read. Views of one refresh share its time, so an import takes few statements.
    now = timezone.now()
    together: dict[dt.datetime, list[int]] = {}
    for view in due:
        together.setdefault(view.refreshed_at, []).append(view.pk)
    confirmed = 0
    with transaction.atomic():
        for refreshed_at, ids in together.items():
            # One that another transaction has is about to change. To wait for it could be a deadlock, so it stays due.
            unchanged = skip_locked(PermittedView.objects.filter(pk__in=ids, refreshed_at=refreshed_at).order_by("pk"))
            confirmed += PermittedView.objects.filter(pk__in=list(unchanged.values_list("pk", flat=True))).update(
                lake_at=now
            )
        if confirmed < len(due):
            queue_lake_fill()
    return confirmed


def wipe_log() -> None:
    """Checkpoint and empty SQLite's log, which still has the old pages."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
