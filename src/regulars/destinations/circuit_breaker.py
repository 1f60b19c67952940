"""Circuit breaker: pause the queue of a destination that does not answer, so that its backlog delays no other."""

from __future__ import annotations

import datetime as dt

from django.db.models import F
from django.utils import timezone

from regulars.base.jobs.queues import pause_queue, resume_queue

from .calls import SendFailed
from .models import Destination

OPENS_AT = 3  # failures in a row; a timeout counts as that many
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 900.0  # seconds


def record_failure(destination: Destination, fault: SendFailed) -> None:
    """Count a failure; from the third in a row the queue is paused, each time for twice as long.

    Where the receiver asks for time (`Retry-After`), the queue is paused that long at once: it means every message.

    A message that the destination refuses (`permanent`) proves that it answers.
    """
    if fault.permanent:
        record_success(destination)
        return
    more = OPENS_AT if fault.code == "timed_out" else 1
    Destination.objects.filter(pk=destination.pk).update(failures=F("failures") + more)
    failures = Destination.objects.values_list("failures", flat=True).get(pk=destination.pk)
    pause = fault.after or 0.0
    if failures >= OPENS_AT:
        pause = max(pause, min(FIRST_PAUSE * 2.0 ** min(failures - OPENS_AT, 10), LONGEST_PAUSE))
        until = timezone.now() + dt.timedelta(seconds=pause)
        Destination.objects.filter(pk=destination.pk).update(broken_until=until)
    if pause > 0:
        pause_queue(destination.queue, pause)


def close_breaker(destination: Destination) -> None:
    """Close the circuit and resume the queue at once."""
    Destination.objects.filter(pk=destination.pk).update(failures=0, broken_until=None)
    resume_queue(destination.queue)


def record_success(destination: Destination) -> None:
    if Destination.objects.filter(pk=destination.pk, failures__gt=0).update(failures=0, broken_until=None):
        resume_queue(destination.queue)


def is_broken(destination: Destination) -> bool:
    """Return whether the circuit is open: nothing is sent there for the moment."""
    return destination.broken_until is not None and destination.broken_until > timezone.now()
