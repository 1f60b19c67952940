"""Take due jobs, one lease at a time, and do them."""

from __future__ import annotations

import datetime as dt
import logging
import os
import random
import socket
import threading
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from django.db import DatabaseError, close_old_connections, connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from .models import Job, PeriodicTask, Queue
from .tasks import HANDLERS, PermanentFailure, Registered, Retry

log = logging.getLogger("regulars.jobs")

LEASE = dt.timedelta(seconds=60)
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 3600.0  # seconds
WORKER = f"{socket.gethostname()}:{os.getpid()}"


def run_due(limit: int = 100) -> int:
    """Do up to `limit` due jobs in this thread. Returns how many were done, put off or given up."""
    count = 0
    while count < limit and (job := take()) is not None:
        with _Heartbeat(job):
            do(job)
        count += 1
    return count


def take() -> Job | None:
    """Lease the next job that is due and whose elders in line are finished, or None."""
    now = timezone.now()
    with transaction.atomic():
        job = _locked(_due(now)).first()
        if job is None:
            return None
        job.state, job.leased_by, job.leased_until = Job.State.RUNNING, WORKER, now + LEASE
        job.attempts += 1
        job.save(update_fields=["state", "leased_by", "leased_until", "attempts"])
    return job


def do(job: Job) -> None:
    """Run the handler and write down what came of it."""
    registered = HANDLERS.get(job.kind)
    if registered is None:
        return _finish(job, Job.State.DEAD, f"nobody handles {job.kind!r}")
    try:
        with nullcontext() if registered.non_transactional else transaction.atomic():
            registered.run(job.payload)
            _finish(job, Job.State.DONE)
    except PermanentFailure as reason:
        _finish(job, Job.State.DEAD, str(reason))
    except Retry as reason:
        _put_off(job, registered, str(reason), reason.after, counts=reason.counts)
    except Exception as fault:
        log.warning("job %s (%s) failed: %s", job.pk, job.kind, type(fault).__name__, exc_info=True)
        _put_off(job, registered, f"{type(fault).__name__}: {fault}")
    return None


def look_ahead(queue: str, kind: str, limit: int) -> list[Job]:
    """What would be begun in a queue if it were free, oldest first: for a job that does others' work with its own.

    They stay where they are: whoever did their work says so by `done_ahead`; else they run and find it done.
    """
    jobs = Job.objects.filter(_in_front(), queue=queue, kind=kind, state=Job.State.WAITING, due_at__lte=timezone.now())
    return list(jobs.order_by("due_at", "id")[:limit])


def done_ahead(numbers: Iterable[int]) -> None:
    """These waiting jobs need not run any more."""
    waiting = Job.objects.filter(pk__in=list(numbers), state=Job.State.WAITING)
    waiting.update(state=Job.State.DONE, finished_at=timezone.now(), last_error="")


def run_periodically(task: str, every: float) -> bool:
    """Whether this worker should run the task now: true once per `every` seconds over all workers."""
    now = timezone.now()
    if PeriodicTask.objects.get_or_create(task=task, defaults={"begun_at": now})[1]:
        return True
    due = now - dt.timedelta(seconds=every)
    return PeriodicTask.objects.filter(task=task, begun_at__lte=due).update(begun_at=now) == 1


def forget_finished(older_than: dt.timedelta = dt.timedelta(days=7)) -> int:
    """Delete done jobs of long ago. Dead ones stay until somebody looks."""
    return Job.objects.filter(state=Job.State.DONE, finished_at__lt=timezone.now() - older_than).delete()[0]


def _due(now: dt.datetime) -> QuerySet[Job]:
    free = Q(state=Job.State.WAITING) | Q(state=Job.State.RUNNING, leased_until__lt=now)
    due = Job.objects.filter(free, _in_front(), due_at__lte=now)
    return due.exclude(queue__in=_paused_queues(now)).order_by("due_at", "id")


def _in_front() -> Q:
    """Jobs whose elders in line are finished."""
    elder = Job.objects.filter(
        key=OuterRef("key"), id__lt=OuterRef("id"), state__in=[Job.State.WAITING, Job.State.RUNNING]
    )
    return Q(key="") | Q(~Exists(elder))


def _paused_queues(now: dt.datetime) -> QuerySet[Queue, str]:
    """The names of those that are closed, or full."""
    running = Job.objects.filter(queue=OuterRef("name"), state=Job.State.RUNNING, leased_until__gte=now)
    busy = Coalesce(Subquery(running.order_by().values("queue").annotate(n=Count("id")).values("n")), 0)
    return (
        Queue.objects.annotate(busy=busy)
        .filter(Q(paused_until__gt=now) | Q(busy__gte=F("concurrency")))
        .values_list("name", flat=True)
    )


def _locked(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """SKIP LOCKED where there is one; on SQLite BEGIN IMMEDIATE already lets one writer in at a time."""
    if connection.features.has_select_for_update_skip_locked:
        return jobs.select_for_update(skip_locked=True, of=("self",))
    return jobs


def _finish(job: Job, state: str, error: str = "") -> None:
    if state == Job.State.DEAD:
        log.error("job %s (%s) gave up: %s", job.pk, job.kind, error)
    _mine(job).update(state=state, last_error=error, finished_at=timezone.now(), leased_until=None)


def _put_off(job: Job, registered: Registered, error: str, after: float | None = None, *, counts: bool = True) -> None:
    if counts and job.attempts >= registered.attempts:
        return _finish(job, Job.State.DEAD, error)
    pause = after if after is not None else pause_before_attempt(job.attempts + 1)
    due = timezone.now() + dt.timedelta(seconds=pause)
    attempts = job.attempts if counts else job.attempts - 1
    _mine(job).update(state=Job.State.WAITING, attempts=attempts, last_error=error, due_at=due, leased_until=None)
    return None


def pause_before_attempt(attempt: int) -> float:
    """Seconds before the n-th attempt: doubling, capped, with jitter so that a crowd does not return at once."""
    pause = min(FIRST_PAUSE * 2.0 ** max(attempt - 2, 0), LONGEST_PAUSE)
    return pause * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, keeps no secret


def _mine(job: Job) -> QuerySet[Job]:
    """Only while the lease is ours: a worker that was thought dead must not overwrite its successor."""
    return Job.objects.filter(pk=job.pk, leased_by=job.leased_by, attempts=job.attempts)


@dataclass
class _Heartbeat:
    """Prolongs the lease of a long job from a thread beside it."""

    job: Job

    def __enter__(self) -> None:
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)
        self.thread.start()

    def __exit__(self, *exc: object) -> None:
        self.over.set()

    def _beat(self) -> None:
        while not self.over.wait(LEASE.total_seconds() / 3):
            with suppress(DatabaseError):
                _mine(self.job).filter(state=Job.State.RUNNING).update(leased_until=timezone.now() + LEASE)
            close_old_connections()
