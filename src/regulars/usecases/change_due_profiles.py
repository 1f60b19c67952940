"""Recompute the customers of whom something changes with time alone: a birthday, an answer that expires.

After an upgrade, or on the first day of a year, most customers may be due at once. Each portion is a job of its own, so that
messages, mails and deliveries go on in between. One with whom it fails stops no others: a job of their own tries again.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from typing import Any

from django.db import OperationalError, transaction
from django.db.models import QuerySet

from regulars.base import clock
from regulars.base.jobs.tasks import enqueue, enqueue_once, handles
from regulars.profiles.models import Profile

from .unit_of_work import changes

log = logging.getLogger("regulars.worker")
JOB, WHY = "profiles.change", "time"
ALONE = "profiles.change_one"
AGAIN = dt.timedelta(days=1)
PORTION = 25  # others wait meanwhile: SQLite has one writer at a time


def queue_due_profiles() -> None:
    """Queue the recomputation of due customers, if there are any. The worker runs it every 45 seconds."""
    if _due().exists():
        enqueue_once(JOB, {}, key=JOB)


@handles(JOB)
def change_due_profiles(payload: dict[str, Any]) -> None:
    """Recompute a portion of the due customers (facts, views, segments, destinations), and queue the next one."""
    portion = list(_due().order_by("changes_at").values_list("pk", flat=True)[:PORTION])
    for pk in _change(portion):
        # By a job of its own, whose failures are counted and listed; and again every day.
        enqueue_once(ALONE, {"profile": pk}, key=f"{ALONE}:{pk}")
        Profile.objects.filter(pk=pk).update(changes_at=clock.now() + AGAIN)
    if len(portion) == PORTION:
        enqueue(JOB, {}, key=JOB)


@handles(ALONE)
def change_due_profile(payload: dict[str, Any]) -> None:
    """Recompute one customer, of whom it failed before."""
    with changes([payload["profile"]], WHY) as c:
        c.conclude_again()


def _change(portion: Sequence[int]) -> list[int]:
    """Recompute customers in one unit; where that fails, each alone. Returns those with whom it failed.

    One of whom something is stored that stops the work stops no others. What concerns the whole database is raised.
    """
    try:
        with transaction.atomic(), changes(portion, WHY) as c:
            c.conclude_again()
        return []
    except OperationalError:
        raise
    except Exception:
        log.warning("a portion of %d due customers failed; each is tried alone", len(portion), exc_info=True)
    failed = []
    for pk in portion:
        try:
            with transaction.atomic(), changes([pk], WHY) as c:
                c.conclude_again()
        except OperationalError:
            raise
        except Exception:
            log.exception("profile %s could not be recomputed", pk)
            failed.append(pk)
    return failed


def _due() -> QuerySet[Profile]:
    return Profile.objects.filter(changes_at__lte=clock.now(), merged_into=None)
