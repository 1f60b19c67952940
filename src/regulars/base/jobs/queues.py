"""Queues within the queue: how many jobs of a queue run at a time, and when none shall."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Min
from django.utils import timezone

from .models import Job, Queue


@dataclass
class QueueStatus:
    """How a queue stands. `oldest` is when the first of its open jobs was written, `next_at` when one is due at the
    earliest; `paused_until` is None while it is open."""

    concurrency: int = 1
    waiting: int = 0
    running: int = 0
    dead: int = 0
    oldest: dt.datetime | None = None
    next_at: dt.datetime | None = None
    paused_until: dt.datetime | None = None


def queue_status(names: Iterable[str]) -> dict[str, QueueStatus]:
    """Lane → how it stands, in as many queries for many as for one."""
    seen = {name: QueueStatus() for name in names}
    states = (Job.State.WAITING, Job.State.RUNNING, Job.State.DEAD)
    jobs = Job.objects.order_by().filter(queue__in=seen, state__in=states).values("queue", "state")
    for row in jobs.annotate(number=Count("id"), oldest=Min("created_at"), next_at=Min("due_at")):
        found = seen[row["queue"]]
        setattr(found, row["state"], row["number"])
        if row["state"] == Job.State.WAITING:
            found.oldest, found.next_at = row["oldest"], row["next_at"]
    for queue in Queue.objects.filter(name__in=seen):
        found = seen[queue.name]
        found.concurrency = queue.concurrency
        found.paused_until = queue.paused_until if queue.paused_until and queue.paused_until > timezone.now() else None
    return seen


def configure_queue(name: str, concurrency: int = 1) -> None:
    """Jobs written with this queue run at most `concurrency` at a time from now on."""
    Queue.objects.update_or_create(name=name, defaults={"concurrency": concurrency})


def pause_queue(name: str, seconds: float) -> None:
    """No job of the queue is begun for so long. What is running goes on; a queue nobody set gets concurrency 1."""
    until = timezone.now() + dt.timedelta(seconds=seconds)
    Queue.objects.update_or_create(name=name, defaults={"paused_until": until})


def resume_queue(name: str) -> None:
    """Its jobs are begun as they come due, as if it had never been closed."""
    Queue.objects.filter(name=name).update(paused_until=None)


def delete_queue(name: str) -> None:
    """Jobs that still name it run without limit."""
    Queue.objects.filter(name=name).delete()
