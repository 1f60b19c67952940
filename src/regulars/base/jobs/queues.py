"""Queues of jobs: concurrency, pausing and status."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Min
from django.utils import timezone

from .models import Job, Queue


@dataclass
class QueueStatus:
    """The status of a queue. `oldest` is when the first waiting job was written, `next_at` when the next one is due;
    `paused_until` is None while it is open."""

    concurrency: int = 1
    waiting: int = 0
    running: int = 0
    failed: int = 0
    oldest: dt.datetime | None = None
    next_at: dt.datetime | None = None
    paused_until: dt.datetime | None = None


def queue_status(names: Iterable[str]) -> dict[str, QueueStatus]:
    """Map names to the status of queues, with the same number of queries for one as for many."""
    statuses = {name: QueueStatus() for name in names}
    states = (Job.State.WAITING, Job.State.RUNNING, Job.State.FAILED)
    jobs = Job.objects.order_by().filter(queue__in=statuses, state__in=states).values("queue", "state")
    for row in jobs.annotate(number=Count("id"), oldest=Min("created_at"), next_at=Min("due_at")):
        status = statuses[row["queue"]]
        setattr(status, row["state"], row["number"])
        if row["state"] == Job.State.WAITING:
            status.oldest, status.next_at = row["oldest"], row["next_at"]
    for queue in Queue.objects.filter(name__in=statuses):
        status = statuses[queue.name]
        status.concurrency = queue.concurrency
        status.paused_until = queue.paused_until if queue.paused_until and queue.paused_until > timezone.now() else None
    return statuses


def configure_queue(name: str, concurrency: int = 1) -> None:
    """Limit the jobs of this queue to `concurrency` at a time."""
    Queue.objects.update_or_create(name=name, defaults={"concurrency": concurrency})


def pause_queue(name: str, seconds: float) -> None:
    """Start no job of the queue for so long. Running jobs continue; a new queue gets concurrency 1."""
    until = timezone.now() + dt.timedelta(seconds=seconds)
    Queue.objects.update_or_create(name=name, defaults={"paused_until": until})


def resume_queue(name: str) -> None:
    """Start jobs of the queue again as they come due."""
    Queue.objects.filter(name=name).update(paused_until=None)


def delete_queue(name: str) -> None:
    """Delete the queue. Jobs that still name it run without limit."""
    Queue.objects.filter(name=name).delete()
