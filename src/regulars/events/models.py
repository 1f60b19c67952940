"""Sources, the inbox of acknowledged messages, and events of profiles.

Events refer to a profile by its id only: `profiles` and `events` are independent packages of one layer.
"""

from __future__ import annotations

import secrets

from django.db import models

from regulars.base import clock
from regulars.base.configuration.models import versioned
from regulars.base.db.encrypted import EncryptedJSONField


def new_write_key() -> str:
    return secrets.token_urlsafe(24)


@versioned
class Source(models.Model):
    """A sender of events: a shop or an app.

    The `write_key` of a `public` source is in its web page, as with Segment, so that any visitor can send with it. Of a
    `server` source it is the fingerprint of a key that is shown once. `secret` is the key of `context.userHash`, by which
    a backend proves to a public source who the user is; None: there is none. `require_proof`: messages with a user id and
    without a proof are set aside.
    """

    class Kind(models.TextChoices):
        PUBLIC = "public"
        SERVER = "server"

    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    write_key = models.CharField(max_length=64, unique=True, default=new_write_key)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.PUBLIC)
    secret = EncryptedJSONField(null=True)
    require_proof = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.name


class InboxItem(models.Model):
    """One message as received, stored before it is acknowledged. `message_id` is unique: a repeat adds nothing.

    Written by the collector with plain SQL; read by the worker. `rejected` is the reason why a message could not become an event.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE)
    message_id = models.CharField(max_length=255, unique=True)
    type = models.CharField(max_length=16)
    body = models.TextField()
    sent_at = models.CharField(max_length=40, blank=True)
    received_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True, blank=True)
    rejected = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [models.Index(fields=["id"], name="inbox_open", condition=models.Q(processed_at=None))]

    def __str__(self) -> str:
        return f"{self.type} {self.message_id}"


class Event(models.Model):
    """An event in Segment's shape. `name` is the track event's name; for pages "Page Viewed".

    `message` has the other fields of the message as sent: its ids, integrations, times. `marks` name what of it could not
    be used. `terms` are its properties for conditions. `lake_batch` is the commit of the lake it is assigned to, `lake_at`
    when the commit was confirmed; NULL: not yet. `origin` is the profile it was first recorded for, once two were merged.
    """

    profile_id = models.BigIntegerField()
    origin = models.BigIntegerField(null=True, blank=True)
    source = models.ForeignKey(Source, null=True, on_delete=models.PROTECT)  # NULL: Regulars recorded it itself
    message_id = models.CharField(max_length=255, unique=True)
    type = models.CharField(max_length=16)  # identify track page screen group alias
    name = models.CharField(max_length=255)
    at = models.DateTimeField()
    received_at = models.DateTimeField()
    properties = models.JSONField(default=dict)
    terms = models.JSONField(default=dict)
    context = models.JSONField(default=dict)
    message = models.JSONField(default=dict)
    marks = models.JSONField(default=list)
    lake_batch = models.BigIntegerField(null=True, blank=True)
    lake_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["profile_id", "-at"], name="events_of_profile"),
            models.Index(fields=["profile_id", "name", "at"], name="events_of_profile_by_name"),
            models.Index(fields=["at", "id"], name="events_by_time"),
            models.Index(fields=["id"], name="events_not_in_lake", condition=models.Q(lake_at=None)),
            models.Index(fields=["origin"], name="events_by_origin", condition=models.Q(origin__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.name} by {self.profile_id}"


class Rejection(models.Model):
    """A message of a batch that was rejected, for the operator: the batch itself is still answered with 200."""

    source = models.ForeignKey(Source, null=True, on_delete=models.CASCADE)
    at = models.DateTimeField(default=clock.now)
    reason = models.CharField(max_length=64)
    excerpt = models.CharField(max_length=500)

    def __str__(self) -> str:
        return self.reason


class SourceCount(models.Model):
    """How many messages of a source on one day were set aside, or taken without a part of them, for one reason."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE)
    day = models.DateField()
    reason = models.CharField(max_length=64)
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "day", "reason"], name="one_count_per_reason")]

    def __str__(self) -> str:
        return f"{self.count} {self.reason}"
