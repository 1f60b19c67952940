"""Where news goes, and the fate of each message."""

from __future__ import annotations

import uuid

from django.db import models

from regulars.base.kit import clock
from regulars.base.kit.encrypted import EncryptedJSONField
from regulars.consent.models import Purpose
from regulars.profiles.models import Profile


class Destination(models.Model):
    """One system that hears of customers entering and leaving the segments in `segment_slugs`.

    `kind` is a key of `destinations.kind.KINDS`; `settings` is what the kind's fields ask for, setting → text.
    """

    name = models.CharField(max_length=128)
    slug = models.SlugField(max_length=64, unique=True)
    kind = models.CharField(max_length=64)
    settings = EncryptedJSONField(default=dict)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)
    segment_slugs = models.JSONField(default=list)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One message to one destination. What left the house is not kept: only that it did.

    `error` names the last failure, or why it was dropped; `last_error` says it to people, without secrets.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        SENT = "sent"
        FAILED = "failed"  # trying again would change nothing, or was tried often enough
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
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["destination", "state", "-id"])]

    def __str__(self) -> str:
        return f"{self.message_id} ({self.state})"
