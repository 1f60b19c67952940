"""Queues within the queue: how many jobs of a lane run at a time, and when none shall."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Min
from django.utils import timezone

from .models import Job, Lane


@dataclass
class Seen:
    """How a lane stands. `oldest` is when the first of its open jobs was written, `next_at` when one is due at the
    earliest; `closed_until` is None while it is open."""

    width: int = 1
    waiting: int = 0
    running: int = 0
    dead: int = 0
    oldest: dt.datetime | None = None
    next_at: dt.datetime | None = None
    closed_until: dt.datetime | None = None


def look_at(names: Iterable[str]) -> dict[str, Seen]:
    """Lane → how it stands, in as many queries for many as for one."""
    seen = {name: Seen() for name in names}
    states = (Job.State.WAITING, Job.State.RUNNING, Job.State.DEAD)
    jobs = Job.objects.order_by().filter(lane__in=seen, state__in=states).values("lane", "state")
    for row in jobs.annotate(number=Count("id"), oldest=Min("created_at"), next_at=Min("due_at")):
        found = seen[row["lane"]]
        setattr(found, row["state"], row["number"])
        if row["state"] == Job.State.WAITING:
            found.oldest, found.next_at = row["oldest"], row["next_at"]
    for lane in Lane.objects.filter(name__in=seen):
        found = seen[lane.name]
        found.width = lane.width
        found.closed_until = lane.closed_until if lane.closed_until and lane.closed_until > timezone.now() else None
    return seen


def set_lane(name: str, width: int = 1) -> None:
    """Jobs written with this lane run at most `width` at a time from now on."""
    Lane.objects.update_or_create(name=name, defaults={"width": width})


def close_lane(name: str, seconds: float) -> None:
    """No job of the lane is begun for so long. What is running goes on; a lane nobody set gets the width 1."""
    until = timezone.now() + dt.timedelta(seconds=seconds)
    Lane.objects.update_or_create(name=name, defaults={"closed_until": until})


def open_lane(name: str) -> None:
    """Its jobs are begun as they come due, as if it had never been closed."""
    Lane.objects.filter(name=name).update(closed_until=None)


def drop_lane(name: str) -> None:
    """Jobs that still name it run without limit."""
    Lane.objects.filter(name=name).delete()
