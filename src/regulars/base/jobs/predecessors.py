"""Jobs of one key run one after the other: find the next of them without reading those behind it.

A worker that finds a job behind another of its key puts it aside, with some of those behind it, and no worker looks at them
again. The end of the first job of a key brings the next one back. On PostgreSQL both hold the row of the job while
they look, so that neither misses what the other one writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import Min, Model, QuerySet
from django.utils import timezone

from regulars.base.db.compiled_query import CompiledQuery, param

from .models import OPEN, READY, Job

Row = TypeVar("Row", bound=Model)
PUT_ASIDE = 200  # jobs at once


def has_predecessor(job: Job) -> bool:
    """Return whether an earlier job of the same key is waiting or running."""
    return bool(job.key) and _predecessors.exists(key=job.key, id=job.pk)


_predecessors = CompiledQuery(
    lambda: Job.objects.filter(OPEN, key=param("key"), pk__lt=param("id")).order_by().values_list("pk")[:1]
)


def put_aside(job: Job) -> None:
    """Let a job, whose row the caller has locked, wait for those before it, and some of those behind it too."""
    behind = Job.objects.filter(READY, key=job.key, pk__gt=job.pk).order_by("pk")
    numbers = [job.pk, *skip_locked(behind).values_list("pk", flat=True)[:PUT_ASIDE]]
    if has_predecessor(job):  # asked again, now that the rows are locked: the one before may have ended meanwhile
        Job.objects.filter(pk__in=numbers).update(put_aside_at=timezone.now())


@transaction.atomic
def bring_back(keys: Iterable[str]) -> int:
    """Let the first job of each key be taken, after one before it ended. Returns how many were put aside."""
    count = 0
    for key in sorted({key for key in keys if key}):
        jobs = Job.objects.filter(OPEN, key=key)
        if connection.features.has_select_for_update:
            jobs = jobs.select_for_update()  # a worker may be about to put it aside: wait for it
        first = jobs.order_by("pk").first()
        if first is not None and first.put_aside_at is not None:
            first.put_aside_at = None
            first.save(update_fields=["put_aside_at"])
            count += 1
    return count


def bring_back_forgotten() -> int:
    """Bring back jobs before which there are none any more: those were deleted, with a customer for instance."""
    aside = Job.objects.filter(put_aside_at__isnull=False)
    if not aside.exists():
        return 0
    firsts = Job.objects.filter(OPEN).exclude(key="").order_by().values("key").annotate(first=Min("pk")).values("first")
    return sum(bring_back([key]) for key in list(aside.filter(pk__in=firsts).values_list("key", flat=True)))


def skip_locked(rows: QuerySet[Row]) -> QuerySet[Row]:
    """Lock rows, without those that another transaction has. SQLite, which cannot, has one writer at a time already."""
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True)
    return rows
