"""Write jobs down, and say who does them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.errors import Invalid

from .models import Job

Handler = Callable[[dict[str, Any]], None]


class Retry(Exception):
    """The handler could not do it now: try again after so many seconds (None: the usual back-off).

    `counts=False`: it was not even tried (out of budget, over a rate), so it is no attempt.
    """

    def __init__(self, why: str, after: float | None = None, *, counts: bool = True) -> None:
        super().__init__(why)
        self.after = after
        self.counts = counts


class PermanentFailure(Exception):
    """The handler will never be able to do it: keep the job as dead, with the reason."""


@dataclass(frozen=True)
class Registered:
    run: Handler
    attempts: int
    non_transactional: bool = False


HANDLERS: dict[str, Registered] = {}


def handles(kind: str, attempts: int = 8, *, non_transactional: bool = False) -> Callable[[Handler], Handler]:
    """Register the one handler of a kind of job. It may run more than once: make it repeatable.

    What a handler writes is undone when it fails, unless it `non_transactional` (HTTP, the lake): then it runs outside any
    transaction, because one held open during a call would keep every other writer of SQLite waiting for a stranger.
    """

    def register(handler: Handler) -> Handler:
        HANDLERS[kind] = Registered(handler, attempts, non_transactional)
        return handler

    return register


def enqueue(
    kind: str, payload: dict[str, Any], *, key: str = "", due_at: dt.datetime | None = None, queue: str = ""
) -> Job:
    """Write a job into the caller's transaction: it exists if and only if the change that needs it does."""
    return Job.objects.create(kind=kind, payload=payload, key=key, queue=queue, due_at=due_at or timezone.now())


def enqueue_once(kind: str, payload: dict[str, Any], *, key: str, after: float = 0.0, queue: str = "") -> Job | None:
    """Write a job unless one with this kind and key is already waiting; `after` seconds let more of the same gather."""
    if _waiting.exists(kind=kind, key=key):
        return None
    return enqueue(kind, payload, key=key, due_at=timezone.now() + dt.timedelta(seconds=after), queue=queue)


_waiting = CompiledQuery(
    lambda: Job.objects.filter(kind=param("kind"), key=param("key"), state=Job.State.WAITING).values_list("pk")[:1]
)


def is_queued(kind: str, key: str) -> bool:
    """Whether one with this kind and key waits or runs."""
    return Job.objects.filter(kind=kind, key=key, state__in=(Job.State.WAITING, Job.State.RUNNING)).exists()


@transaction.atomic
def retry_dead_jobs(queue: str) -> int:
    """Put every dead job of a queue back in line. Returns how many."""
    dead = list(Job.objects.select_for_update().filter(queue=queue, state=Job.State.DEAD).order_by("id"))
    for job in dead:
        resend(job)
    return len(dead)


def resend(job: Job) -> None:
    """Put a dead job back in line."""
    if job.state != Job.State.DEAD:
        raise Invalid("not_dead", f"Job {job.pk} is {job.state}; only dead jobs are sent again.")
    Job.objects.filter(pk=job.pk).update(state=Job.State.WAITING, attempts=0, due_at=timezone.now(), finished_at=None)
