"""Lease due jobs one at a time and run them."""

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
from .tasks import HANDLERS, PermanentFailure, RegisteredHandler, Retry

log = logging.getLogger("regulars.jobs")

LEASE = dt.timedelta(seconds=60)
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 3600.0  # seconds
WORKER = f"{socket.gethostname()}:{os.getpid()}"


def run_due(limit: int = 100) -> int:
    """Run up to `limit` due jobs in this thread. Returns how many finished, were postponed or failed."""
    count = 0
    while count < limit and (job := lease_next()) is not None:
        with _Heartbeat(job):
            run_job(job)
        count += 1
    return count


def lease_next() -> Job | None:
    """Lease the next due job without unfinished predecessors, or return None."""
    now = timezone.now()
    running = Job.objects.filter(queue=OuterRef("name"), state=Job.State.RUNNING, leased_until__gte=now)
    busy = Coalesce(Subquery(running.order_by().values("queue").annotate(n=Count("id")).values("n")), 0)
    paused_or_full = Q(paused_until__gt=now) | Q(busy__gte=F("concurrency"))
    closed = Queue.objects.annotate(busy=busy).filter(paused_or_full).values_list("name", flat=True)
    free = Q(state=Job.State.WAITING) | Q(state=Job.State.RUNNING, leased_until__lt=now)
    due = Job.objects.filter(free, _without_predecessors(), due_at__lte=now)
    due = due.exclude(queue__in=closed).order_by("due_at", "id")
    if connection.features.has_select_for_update_skip_locked:
        # On SQLite, which has no SKIP LOCKED, BEGIN IMMEDIATE already admits one writer at a time.
        due = due.select_for_update(skip_locked=True, of=("self",))
    with transaction.atomic():
        job = due.first()
        if job is None:
            return None
        job.state, job.leased_by, job.leased_until = Job.State.RUNNING, WORKER, now + LEASE
        job.attempts += 1
        job.save(update_fields=["state", "leased_by", "leased_until", "attempts"])
    return job


def run_job(job: Job) -> None:
    """Run the handler and record the outcome."""
    registered = HANDLERS.get(job.kind)
    if registered is None:
        return _finish(job, Job.State.FAILED, f"no handler for {job.kind!r}")
    try:
        with nullcontext() if registered.non_transactional else transaction.atomic():
            registered.run(job.payload)
            _finish(job, Job.State.DONE)
    except PermanentFailure as reason:
        _finish(job, Job.State.FAILED, str(reason))
    except Retry as reason:
        _postpone(job, registered, str(reason), reason.after, counts=reason.counts)
    except Exception as fault:
        log.warning("job %s (%s) failed: %s", job.pk, job.kind, type(fault).__name__, exc_info=True)
        _postpone(job, registered, f"{type(fault).__name__}: {fault}")
    return None


def next_waiting_jobs(queue: str, kind: str, limit: int) -> list[Job]:
    """Return the next jobs of a queue, oldest first, for a job that does their work with its own.

    They stay waiting: after their work is done the caller calls `mark_done`; otherwise they run and find it done.
    """
    jobs = Job.objects.filter(
        _without_predecessors(), queue=queue, kind=kind, state=Job.State.WAITING, due_at__lte=timezone.now()
    )
    return list(jobs.order_by("due_at", "id")[:limit])


def mark_done(numbers: Iterable[int]) -> None:
    """Mark waiting jobs as done."""
    waiting = Job.objects.filter(pk__in=list(numbers), state=Job.State.WAITING)
    waiting.update(state=Job.State.DONE, finished_at=timezone.now(), last_error="")


def run_periodically(task: str, every: float) -> bool:
    """Return whether this worker should run the task now: true once per `every` seconds over all workers."""
    now = timezone.now()
    if PeriodicTask.objects.get_or_create(task=task, defaults={"begun_at": now})[1]:
        return True
    due = now - dt.timedelta(seconds=every)
    return PeriodicTask.objects.filter(task=task, begun_at__lte=due).update(begun_at=now) == 1


def record_run(task: str) -> None:
    """Record that a task that is not the worker's begins now: one that the operator's own schedule starts."""
    PeriodicTask.objects.update_or_create(task=task, defaults={"begun_at": timezone.now()})


def delete_finished_jobs(older_than: dt.timedelta = dt.timedelta(days=7)) -> int:
    """Delete jobs that were done long ago. Failed ones stay."""
    return Job.objects.filter(state=Job.State.DONE, finished_at__lt=timezone.now() - older_than).delete()[0]


def _without_predecessors() -> Q:
    """Match jobs whose predecessors with the same key are finished."""
    predecessor = Job.objects.filter(
        key=OuterRef("key"), id__lt=OuterRef("id"), state__in=[Job.State.WAITING, Job.State.RUNNING]
    )
    return Q(key="") | Q(~Exists(predecessor))


def _finish(job: Job, state: str, error: str = "") -> None:
    if state == Job.State.FAILED:
        log.error("job %s (%s) failed for good: %s", job.pk, job.kind, error)
    _owned(job).update(state=state, last_error=error, finished_at=timezone.now(), leased_until=None)


def _postpone(
    job: Job, registered: RegisteredHandler, error: str, after: float | None = None, *, counts: bool = True
) -> None:
    if counts and job.attempts >= registered.attempts:
        return _finish(job, Job.State.FAILED, error)
    pause = after if after is not None else pause_before_attempt(job.attempts + 1)
    due = timezone.now() + dt.timedelta(seconds=pause)
    attempts = job.attempts if counts else job.attempts - 1
    _owned(job).update(state=Job.State.WAITING, attempts=attempts, last_error=error, due_at=due, leased_until=None)
    return None


def pause_before_attempt(attempt: int) -> float:
    """Return the seconds before the n-th attempt: doubling, capped, with jitter against simultaneous retries."""
    pause = min(FIRST_PAUSE * 2.0 ** max(attempt - 2, 0), LONGEST_PAUSE)
    return pause * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, keeps no secret


def _owned(job: Job) -> QuerySet[Job]:
    """Match the job while this worker owns its lease: a worker thought dead must not overwrite its successor.

    Nor is a job run again whose work was committed, where something after the commit failed.
    """
    owned = Job.objects.filter(pk=job.pk, leased_by=job.leased_by, attempts=job.attempts)
    return owned.exclude(state=Job.State.DONE)


@dataclass
class _Heartbeat:
    """Extends the lease of a long job from a second thread."""

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
                _owned(self.job).filter(state=Job.State.RUNNING).update(leased_until=timezone.now() + LEASE)
            close_old_connections()
