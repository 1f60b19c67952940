"""The outbox of jobs, with queues and the schedule of periodic tasks."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from regulars.base import clock


class Job(models.Model):
    """One job. Jobs with the same non-empty `key` run in the order they were written, one at a time.

    A running job belongs to its worker until `leased_until`; when a worker dies, the lease expires and another continues.
    A job with a `queue` waits while that queue is full or paused; jobs of other queues do not wait.
    Times use the machine's clock: a rehearsal that moves the business clock must not move leases.
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
    leased_by = models.CharField(max_length=64, blank=True)
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at", "id"], name="jobs_open", condition=Q(state__in=["waiting", "running"])),
            models.Index(fields=["key", "id"], name="jobs_in_line", condition=Q(state__in=["waiting", "running"])),
            models.Index(fields=["queue"], name="jobs_in_queues", condition=Q(state="running")),
            models.Index(fields=["queue", "id"], name="jobs_failed", condition=Q(state="failed")),
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
    """The last start of a periodic task; one row per task, so that only one of several workers runs it."""

    task = models.CharField(max_length=64, primary_key=True)
    begun_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.task
