"""Recompute the customers of whom something changes with time alone: a birthday, an answer that expires.

After an upgrade, or on the first day of a year, most customers may be due at once. Each portion is a job of its own, so that
messages, mails and deliveries go on in between.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from regulars.base import clock
from regulars.base.jobs.tasks import enqueue, enqueue_once, handles
from regulars.profiles.models import Profile

from .unit_of_work import changes

JOB = "profiles.change"
PORTION = 25  # others wait meanwhile: SQLite has one writer at a time


def queue_due_profiles() -> None:
    """Queue the recomputation of due customers, if there are any. The worker runs it every 45 seconds."""
    if _due().exists():
        enqueue_once(JOB, {}, key=JOB)


@handles(JOB)
def change_due_profiles(payload: dict[str, Any]) -> None:
    """Recompute a portion of the due customers (facts, views, segments, destinations), and queue the next one."""
    portion = list(_due().order_by("changes_at").values_list("pk", flat=True)[:PORTION])
    with changes(portion, "time") as c:
        c.conclude_again()
    if len(portion) == PORTION:
        enqueue(JOB, {}, key=JOB)


def _due() -> QuerySet[Profile]:
    return Profile.objects.filter(changes_at__lte=clock.now(), merged_into=None)
