"""Enqueue jobs and register their handlers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.errors import Invalid
from regulars.base.text import JsonObject

from .models import FINISHED, OPEN, Job

Handler = Callable[[JsonObject], None]


class Retry(Exception):
    """The handler cannot run now: retry after so many seconds (None: the usual back-off).

    `counts=False`: nothing was tried (out of budget, over a rate), so this is no attempt.
    """

    def __init__(self, why: str, after: float | None = None, *, counts: bool = True) -> None:
        super().__init__(why)
        self.after = after
        self.counts = counts


class PermanentFailure(Exception):
    """The handler can never succeed: the job fails with this reason."""


@dataclass(frozen=True)
class RegisteredHandler:
    run: Handler
    attempts: int
    non_transactional: bool = False


HANDLERS: dict[str, RegisteredHandler] = {}


def handles(kind: str, attempts: int = 8, *, non_transactional: bool = False) -> Callable[[Handler], Handler]:
    """Register the one handler of a kind of job. It may run more than once: make it idempotent.

    Writes of a failing handler are rolled back. A `non_transactional` one (HTTP, the lake) runs outside any transaction,
    because a transaction that is open during a request would block every other writer of SQLite.
    """

    def register(handler: Handler) -> Handler:
        HANDLERS[kind] = RegisteredHandler(handler, attempts, non_transactional)
        return handler

    return register


def enqueue(
    kind: str, payload: JsonObject, *, key: str = "", due_at: dt.datetime | None = None, queue: str = ""
) -> Job:
    """Write a job in the caller's transaction: it exists if and only if the change that needs it does."""
    return Job.objects.create(kind=kind, payload=payload, key=key, queue=queue, due_at=due_at or timezone.now())


def enqueue_once(kind: str, payload: JsonObject, *, key: str, after: float = 0.0, queue: str = "") -> Job | None:
    """Write a job unless one of this kind and key is waiting. It is due in `after` seconds, so that changes can gather."""
    if _waiting.exists(kind=kind, key=key):
        return None
    return enqueue(kind, payload, key=key, due_at=timezone.now() + dt.timedelta(seconds=after), queue=queue)


_waiting = CompiledQuery(
    lambda: Job.objects.filter(OPEN, kind=param("kind"), key=param("key"), state=Job.State.WAITING).values_list("pk")[
        :1
    ]
)


def is_queued(kind: str, key: str) -> bool:
    """Return whether a job of this kind and key is waiting or running."""
    return Job.objects.filter(OPEN, kind=kind, key=key).exists()


@transaction.atomic
def retry_failed_jobs(queue: str) -> int:
    """Retry every failed job of a queue. Returns how many."""
    failed = list(Job.objects.select_for_update().filter(FINISHED, queue=queue, state=Job.State.FAILED).order_by("id"))
    for job in failed:
        retry_job(job)
    return len(failed)


def retry_job(job: Job) -> None:
    """Retry a failed job."""
    if job.state != Job.State.FAILED:
        raise Invalid("not_failed", f"Job {job.pk} is {job.state}; only failed jobs can be retried.")
    Job.objects.filter(pk=job.pk).update(state=Job.State.WAITING, attempts=0, due_at=timezone.now(), finished_at=None)
