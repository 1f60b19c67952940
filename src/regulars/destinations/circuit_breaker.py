"""A destination that does not answer is left alone for a while, so that its backlog costs nobody anything."""

from __future__ import annotations

import datetime as dt

from django.db.models import F
from django.utils import timezone

from regulars.base.jobs.queues import pause_queue, resume_queue

from .calls import SendFailed
from .models import Destination

OPENS_AT = 3  # failures in a row; one that took all our time counts as that many
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 900.0  # seconds


def note_failure(destination: Destination, fault: SendFailed) -> None:
    """Count a fault of the destination; from the third in a row its queue is closed, each time for twice as long.

    A message the destination refuses (`permanent`) says nothing about its health.
    """
    if fault.permanent:
        return note_success(destination)
    more = OPENS_AT if fault.code == "timed_out" else 1
    Destination.objects.filter(pk=destination.pk).update(failures=F("failures") + more)
    failures = Destination.objects.values_list("failures", flat=True).get(pk=destination.pk)
    if failures >= OPENS_AT:
        pause = _pause(failures)
        until = timezone.now() + dt.timedelta(seconds=pause)
        Destination.objects.filter(pk=destination.pk).update(broken_until=until)
        pause_queue(destination.queue, pause)
    return None


def close_breaker(destination: Destination) -> None:
    """Try it again at once, whatever was."""
    Destination.objects.filter(pk=destination.pk).update(failures=0, broken_until=None)
    resume_queue(destination.queue)


def note_success(destination: Destination) -> None:
    if Destination.objects.filter(pk=destination.pk, failures__gt=0).update(failures=0, broken_until=None):
        resume_queue(destination.queue)


def is_broken(destination: Destination) -> bool:
    """Whether nothing is sent there for the moment."""
    return destination.broken_until is not None and destination.broken_until > timezone.now()


def _pause(failures: int) -> float:
    return min(FIRST_PAUSE * 2.0 ** min(failures - OPENS_AT, 10), LONGEST_PAUSE)
