"""Destinations, the deliveries of messages to them, and what each received of a customer."""

from __future__ import annotations

import uuid

from django.db import models

from regulars.base import clock
from regulars.base.db.encrypted import EncryptedJSONField
from regulars.consent.models import Purpose
from regulars.profiles.models import Profile


class Destination(models.Model):
    """One system that is notified when customers enter and leave the segments in `segment_slugs`.

    `kind` is a key of `destinations.kind.KINDS`; `settings` are the values of the kind's fields, setting → text.
    `mapping` is which attribute is sent as which field: `[{"attribute", "field", "transform"}]`, empty for the kind's own.
    `failures` in a row have opened the circuit until `broken_until` (the machine's time): see `destinations.circuit_breaker`.
    """

    name = models.CharField(max_length=128)
    slug = models.SlugField(max_length=64, unique=True)
    kind = models.CharField(max_length=64)
    settings = EncryptedJSONField(default=dict)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)
    segment_slugs = models.JSONField(default=list)
    mapping = models.JSONField(default=list)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now)
    failures = models.PositiveIntegerField(default=0)
    broken_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

    @property
    def queue(self) -> str:
        """The name of its queue of jobs (`base.jobs.queues`)."""
        return f"destination:{self.pk}"


class Delivery(models.Model):
    """One message to one destination. Its content is not kept, only that it was sent.

    `error` names the last failure, or why it was dropped; `last_error` is the message for people, without secrets.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        SENT = "sent"
        FAILED = "failed"  # a permanent failure, or the last attempt failed: a dead letter
        DROPPED = "dropped"  # was not to be sent at all

    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="deliveries")
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="deliveries")
    message_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    segment_slug = models.SlugField(max_length=64)
    segment_name = models.CharField(max_length=128)
    entered = models.BooleanField()
    at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=64, blank=True)
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=clock.now)
    queued_at = models.DateTimeField(default=clock.now)  # the last time it was queued
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["destination", "state", "-id"])]

    def __str__(self) -> str:
        return f"{self.message_id} ({self.state})"


class Disclosure(models.Model):
    """One destination received data of one customer: which facts, when, and the state of its deletion.

    `fields`: destination's field → `{"attribute", "fact", "at"}` of the newest value; `segments` are those it believes the
    customer is in. `match` is what the destination recognises the customer by, encrypted, kept until it has confirmed.
    After erasure the row remains without a name until the deletion is confirmed; then `match` and `fields` are emptied.
    """

    class State(models.TextChoices):
        ATTEMPTED = "attempted"  # may have arrived
        SENT = "sent"
        REMOVING = "removing"  # deletion requested, not confirmed yet
        REMOVED = "removed"
        FAILED = "failed"  # could not be removed: staff must look

    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="disclosures")
    profile = models.ForeignKey(Profile, null=True, blank=True, on_delete=models.SET_NULL, related_name="disclosures")
    fields = models.JSONField(default=dict)
    segments = models.JSONField(default=list)
    match = EncryptedJSONField(default=dict)
    first_at = models.DateTimeField(default=clock.now)
    last_at = models.DateTimeField(default=clock.now)
    state = models.CharField(max_length=12, choices=State, default=State.ATTEMPTED)
    erase = models.BooleanField(default=False)  # the customer is erased, not only removed
    request_id = models.UUIDField(default=uuid.uuid4, editable=False)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=64, blank=True)
    last_error = models.TextField(blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["destination", "profile"], name="one_disclosure_per_destination")
        ]
        indexes = [models.Index(fields=["destination", "state"])]

    def __str__(self) -> str:
        return f"{self.profile_id} at {self.destination_id}: {self.state}"
