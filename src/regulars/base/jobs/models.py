"""The outbox of jobs, with queues and the schedule of periodic tasks."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from regulars.base import clock

# Conditions of indexes, and of every query that shall use them. They say "null", and no state: SQLite compares the condition of
# an index with literals only, and Django binds values. A row that an earlier version or a migration wrote is ready too.
OPEN = Q(finished_at__isnull=True)
READY = Q(finished_at__isnull=True, leased_until__isnull=True, put_aside_at__isnull=True)
FINISHED = Q(finished_at__isnull=False)


class Job(models.Model):
    """One job. Jobs with the same non-empty `key` run in the order they were written, one at a time.

    A running job belongs to its worker until `leased_until`; when a worker dies, the lease expires and another continues.
    A job with a `queue` waits while that queue is full or paused; jobs of other queues do not wait.
    Times use the machine's clock: a rehearsal that moves the business clock must not move leases.

    `leased_until` is set while a job runs, `finished_at` when it is done or failed, and `put_aside_at` when it was found behind
    another of its key: with none of them it is ready, and found when it is due (`READY`).
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"  # a dead letter: kept to be inspected and retried by staff

    kind = models.CharField(max_length=64)
    key = models.CharField(max_length=128, blank=True)
    queue = models.CharField(max_length=64, blank=True)
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True, blank=True)
    put_aside_at = models.DateTimeField(null=True, blank=True)
    leased_by = models.CharField(max_length=64, blank=True)
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["queue", "due_at", "id"], name="jobs_ready", condition=READY),
            models.Index(fields=["key", "id"], name="jobs_of_key", condition=OPEN),
            models.Index(fields=["leased_until"], name="jobs_leased", condition=Q(leased_until__isnull=False)),
            models.Index(fields=["key"], name="jobs_aside", condition=Q(put_aside_at__isnull=False)),
            models.Index(fields=["state", "finished_at"], name="jobs_finished", condition=FINISHED),
        ]

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk} ({self.state})"


class Queue(models.Model):
    """A queue with a limit: about `concurrency` of its jobs run at a time (two workers may look at once), none before
    `paused_until`. A slow service occupies at most `concurrency` threads and delays no other queue."""

    name = models.CharField(max_length=64, primary_key=True)
    concurrency = models.PositiveSmallIntegerField(default=1)
    paused_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class PeriodicTask(models.Model):
    """The last start of a periodic task; one row per task, so that only one of several workers runs it.

    `unfinished_since` is the end of its last run that finished, or when its row was made.
    """

    task = models.CharField(max_length=64, primary_key=True)
    begun_at = models.DateTimeField()
    unfinished_since = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.task
