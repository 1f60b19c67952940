"""Lease due jobs one at a time and run them."""

from __future__ import annotations

import datetime as dt
import logging
import os
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from django.db import DatabaseError, close_old_connections, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from regulars.base.db.compiled_query import CompiledQuery, CompiledUpdate, param, param_for
from regulars.base.db.deadlocks import is_deadlock

from .models import FINISHED, READY, Job, PeriodicTask, Queue
from .predecessors import bring_back, has_predecessor, put_aside, skip_locked
from .tasks import HANDLERS, PermanentFailure, RegisteredHandler, Retry

log = logging.getLogger("regulars.jobs")

LEASE = dt.timedelta(seconds=60)
LOOKS = 100  # at jobs behind another of their key, which are put aside, before the worker turns to something else
DELETED_AT_ONCE = 1000
RETRY_UNFINISHED = dt.timedelta(
    minutes=45
)  # within the hour, and no earlier: a long task that still runs would run twice
CLOCKS_DIFFER = dt.timedelta(minutes=5)
NEWER_WORKER_COMES = dt.timedelta(days=3)  # to a job of a kind that only it knows
ASK_AGAIN = dt.timedelta(minutes=1)
TURN = dt.timedelta(minutes=3)  # a task waits for its turn behind others
# The first due job of each queue, by as many steps in the index `jobs_ready` as there are queues with jobs. Neither database
# finds the different values of a column without reading all its rows, unless it is led from one to the next.
READY_IN_SQL = "finished_at IS NULL AND leased_until IS NULL AND put_aside_at IS NULL"
FIRST_OF_EACH_QUEUE = f"""
WITH RECURSIVE named(queue) AS (
    SELECT MIN(j.queue) FROM jobs_job j WHERE {READY_IN_SQL}
    UNION ALL
    SELECT (SELECT MIN(j.queue) FROM jobs_job j WHERE {READY_IN_SQL} AND j.queue > named.queue)
    FROM named WHERE named.queue IS NOT NULL
)
SELECT named.queue, (
    SELECT j.due_at FROM jobs_job j WHERE {READY_IN_SQL} AND j.queue = named.queue AND j.due_at <= %s
    ORDER BY j.due_at, j.id LIMIT 1
) FROM named WHERE named.queue IS NOT NULL
"""  # noqa: S608 - of constants
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 3600.0  # seconds
AFTER_DEADLOCK = 1.0  # seconds
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
    """Lease the next due job without unfinished predecessors, or return None.

    It reads neither jobs that are done, nor those of a queue that is full or paused, nor those behind another of their key.
    Queues are looked at before the transaction, and with nothing due there is none: an idle worker takes no lock of SQLite.
    """
    for _ in range(LOOKS):
        now = timezone.now()
        queues = _due_queues(now)
        if not queues:
            return None
        with transaction.atomic():
            job = _first_ready(queues, now)
            if job is None:
                return None
            if has_predecessor(job):
                put_aside(job)
                continue
            job.state, job.leased_by, job.leased_until = Job.State.RUNNING, WORKER, now + LEASE
            job.attempts += 1
            _lease(id=job.pk, **{name: getattr(job, name) for name in LEASED})
            return job
    return None


def _due_queues(now: dt.datetime) -> list[str]:
    """Return the queues with due jobs that are neither paused nor full, the one whose job has been due for longest first.

    One without a row has no limit. Jobs whose worker died wait again first.
    """
    leased = [(queue, until) for queue, until in _leased.all() if until]
    if any(until < now for _, until in leased):
        _end_leases_of_the_dead(now)
    with connection.cursor() as cursor:
        cursor.execute(FIRST_OF_EACH_QUEUE, [connection.ops.adapt_datetimefield_value(now)])
        firsts = sorted((due_at, queue) for queue, due_at in cursor.fetchall() if due_at is not None)
    if not firsts:
        return []
    busy = Counter(queue for queue, until in leased if until >= now)
    closed = {
        queue.name
        for queue in _queues.all()
        if (queue.paused_until and queue.paused_until > now) or busy[queue.name] >= queue.concurrency
    }
    return [queue for _, queue in firsts if queue not in closed]


@transaction.atomic
def _end_leases_of_the_dead(now: dt.datetime) -> None:
    """Let jobs wait again whose worker died."""
    dead = skip_locked(Job.objects.filter(leased_until__lt=now, state=Job.State.RUNNING))
    if numbers := list(dead.values_list("pk", flat=True)):
        Job.objects.filter(pk__in=numbers).update(state=Job.State.WAITING, leased_until=None)


def _first_ready(queues: Iterable[str], now: dt.datetime) -> Job | None:
    """Return the job that has been due for longest, of the first of these queues that has one. It is locked."""
    found = (_first_of_queue.first(queue=queue, now=now) for queue in queues)
    return next((job for job in found if job is not None), None)


# Queries of every look for a job, which idle workers repeat twice a second: compiled to SQL once.
LEASED = ("state", "leased_by", "leased_until", "attempts")
_leased = CompiledQuery(
    lambda: Job.objects.filter(leased_until__isnull=False).order_by().values_list("queue", "leased_until")
)
_queues = CompiledQuery(lambda: Queue.objects.order_by())
_first_of_queue = CompiledQuery(
    lambda: skip_locked(
        Job.objects.filter(
            READY,
            queue=param("queue"),
            due_at__lte=param("now", Job._meta.get_field("due_at")),
            state=Job.State.WAITING,
        ).order_by("due_at", "id")
    )[:1]
)
_lease = CompiledUpdate(lambda: (Job.objects.filter(pk=param("id")), {name: param_for(Job, name) for name in LEASED}))


def run_job(job: Job) -> None:
    """Run the handler and record the outcome."""
    registered = HANDLERS.get(job.kind)
    if registered is None:
        return _leave_to_others(job)
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
        # A deadlock is no fault of the job, however often it meets one.
        again = AFTER_DEADLOCK * random.uniform(0.5, 1.5) if is_deadlock(fault) else None  # noqa: S311
        _postpone(job, registered, f"{type(fault).__name__}: {fault}", again, counts=again is None)
    return None


@transaction.atomic
def next_waiting_jobs(queue: str, kind: str, limit: int) -> list[Job]:
    """Return the next jobs of a queue, oldest first, for a job that does their work with its own.

    They stay waiting: after their work is done the caller calls `mark_done`; otherwise they run and find it done.
    """
    ready = Job.objects.filter(READY, queue=queue, kind=kind, due_at__lte=timezone.now()).order_by("due_at", "id")
    found: list[Job] = []
    for _ in range(LOOKS):
        jobs = list(skip_locked(ready.exclude(pk__in=[job.pk for job in found]))[: limit - len(found)])
        behind = [job for job in jobs if has_predecessor(job)]
        found += [job for job in jobs if job not in behind]
        if not behind:
            break
        for job in {job.key: job for job in behind}.values():
            put_aside(job)
    return found


def mark_done(numbers: Iterable[int]) -> None:
    """Mark waiting jobs as done."""
    waiting = Job.objects.filter(pk__in=list(numbers), state=Job.State.WAITING)
    keys = list(waiting.values_list("key", flat=True))
    with transaction.atomic():
        waiting.update(state=Job.State.DONE, finished_at=timezone.now(), last_error="", put_aside_at=None)
        bring_back(keys)


def due_tasks(periods: Mapping[str, float]) -> list[str]:
    """Return the periodic tasks that are due by one read, so that a worker with nothing to do writes nothing."""
    now = timezone.now()
    rows = {row.task: row for row in _tasks.all()}
    return [task for task, every in periods.items() if task not in rows or _is_due(rows[task], every, now)]


def run_periodically(task: str, every: float) -> bool:
    """Return whether this worker should run the task now: true once per `every` seconds over all workers."""
    now = timezone.now()
    before = {"begun_at": now, "unfinished_since": now - dt.timedelta(microseconds=1)}
    row, is_new = PeriodicTask.objects.get_or_create(task=task, defaults=before)
    if is_new:
        return True
    if not _is_due(row, every, now):
        return False
    if not PeriodicTask.objects.filter(task=task, begun_at=row.begun_at).update(begun_at=now):
        return False  # another worker began it
    PeriodicTask.objects.filter(task=task, unfinished_since__gte=now).update(
        unfinished_since=before["unfinished_since"]
    )
    return True


def _is_due(row: PeriodicTask, every: float, now: dt.datetime) -> bool:
    """Return whether a task is due again.

    One that did not finish (it failed, or its worker was killed) is due within the hour. So is one that began in the
    future: a clock was ahead. Clocks of two machines may differ by `CLOCKS_DIFFER`.
    """
    period = dt.timedelta(seconds=every)
    if row.begun_at <= now - period or row.begun_at > now + CLOCKS_DIFFER:
        return True
    return row.unfinished_since < row.begun_at <= now - min(period, RETRY_UNFINISHED)


_tasks = CompiledQuery(lambda: PeriodicTask.objects.order_by())


def record_end(task: str) -> None:
    """Record that a periodic task finished."""
    PeriodicTask.objects.filter(task=task).update(unfinished_since=timezone.now())


def unfinished_tasks(periods: Mapping[str, float]) -> list[str]:
    """Return the periodic tasks that did not finish within twice their period, by name."""
    now = timezone.now()
    since = dict(PeriodicTask.objects.filter(task__in=periods).values_list("task", "unfinished_since"))
    return sorted(task for task, at in since.items() if now - at > 2 * dt.timedelta(seconds=periods[task]) + TURN)


def record_run(task: str) -> None:
    """Record that a task that is not the worker's begins now: one that the operator's own schedule starts."""
    PeriodicTask.objects.update_or_create(task=task, defaults={"begun_at": timezone.now()})


def delete_finished_jobs(older_than: dt.timedelta = dt.timedelta(days=7)) -> int:
    """Delete jobs that were done long ago, in portions. Failed ones stay."""
    old = Job.objects.filter(FINISHED, state=Job.State.DONE, finished_at__lt=timezone.now() - older_than)
    count = 0
    while numbers := list(old.order_by("finished_at").values_list("pk", flat=True)[:DELETED_AT_ONCE]):
        count += Job.objects.filter(pk__in=numbers).delete()[0]
    return count


def _finish(job: Job, state: str, error: str = "") -> None:
    if state == Job.State.FAILED:
        log.error("job %s (%s) failed for good: %s", job.pk, job.kind, error)
    ended = {"state": state, "last_error": error, "finished_at": timezone.now(), "leased_until": None}
    with transaction.atomic():
        if _owned(job).update(**ended, put_aside_at=None):
            bring_back([job.key])


def _leave_to_others(job: Job) -> None:
    """Let a job wait whose kind this worker does not know: a newer version queued it, beside which this one still runs."""
    error = f"no handler for {job.kind!r}"
    if job.created_at < timezone.now() - NEWER_WORKER_COMES:
        return _finish(job, Job.State.FAILED, error)
    due = timezone.now() + ASK_AGAIN
    left = {"state": Job.State.WAITING, "attempts": job.attempts - 1, "due_at": due, "leased_until": None}
    _owned(job).update(**left, last_error=error)
    return None


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
        self.thread = threading.Thread(target=self._extend, daemon=True)
        self.thread.start()

    def __exit__(self, *exc: object) -> None:
        self.over.set()

    def _extend(self) -> None:
        while not self.over.wait(LEASE.total_seconds() / 3):
            with suppress(DatabaseError):
                _owned(self.job).filter(state=Job.State.RUNNING).update(leased_until=timezone.now() + LEASE)
            close_old_connections()
