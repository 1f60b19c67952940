"""Destinations, the deliveries of messages to them, and what each received of a customer."""

from __future__ import annotations

import uuid
from typing import NotRequired, TypedDict

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
    current_version = models.ForeignKey(
        "DestinationVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    def __str__(self) -> str:
        return self.name

    @property
    def queue(self) -> str:
        """The name of its queue of jobs (`base.jobs.queues`)."""
        return f"destination:{self.pk}"


class DestinationVersion(models.Model):
    """A destination as it was while data was sent to it: its name, its settings and its purpose.

    Disclosures point at the version that they were made under, so that changes and removals reach the place that was sent
    the data, also after the destination moved. See `destinations.versions`.
    """

    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="versions")
    name = models.CharField(max_length=128)
    settings = EncryptedJSONField(default=dict)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)
    since = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.name} since {self.since:%Y-%m-%d}"


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


class DisclosedField(TypedDict):
    """One field that a destination was sent: the attribute and the fact behind it, and when.

    `digest` is a keyed fingerprint of the value, empty while it is uncertain whether a newer one arrived. `is_match`: it was
    sent for recognition only. Rows of earlier versions have neither these nor `transform`.
    """

    attribute: str
    fact: int | None
    at: str
    transform: NotRequired[str]
    digest: NotRequired[str]
    is_match: NotRequired[bool]


class Disclosure(models.Model):
    """One destination received data of one customer: which facts, when, and the state of its update or deletion.

    `version` is the destination as it was then. `fields`: destination's field → `DisclosedField` of the newest value;
    `segments` are those it believes the customer is in. `match` is what the destination recognises the customer by,
    encrypted, kept until it has confirmed. After erasure the row remains without a name until the deletion is confirmed;
    then `match` and `fields` are emptied.
    """

    class State(models.TextChoices):
        ATTEMPTED = "attempted"  # may have arrived
        SENT = "sent"
        UPDATING = "updating"  # fields changed or may not be used any more: requested, not confirmed yet
        NOT_UPDATED = "not_updated"  # the request failed: staff must look
        REMOVING = "removing"  # deletion requested, not confirmed yet
        REMOVED = "removed"
        FAILED = "failed"  # could not be removed: staff must look

    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="disclosures")
    version = models.ForeignKey(DestinationVersion, on_delete=models.CASCADE, related_name="disclosures")
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
        constraints = [models.UniqueConstraint(fields=["version", "profile"], name="one_disclosure_per_version")]
        indexes = [models.Index(fields=["destination", "state"])]

    def __str__(self) -> str:
        return f"{self.profile_id} at {self.destination_id}: {self.state}"


class DirectDisclosure(models.Model):
    """A look-up source, an application of another company or a service that a rule called was given data of one customer.

    `name`, `place` and `purpose` are as they were then, and `attributes` are keys. `key`: the key of a source, a client id, or
    the host that a rule called.
    """

    class Kind(models.TextChoices):
        LOOKUP = "lookup"
        APPLICATION = "application"
        RULE_HOST = "rule_host"

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="direct_disclosures")
    kind = models.CharField(max_length=16, choices=Kind)
    key = models.CharField(max_length=64)
    name = models.CharField(max_length=128)
    place = models.CharField(max_length=255, blank=True)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)
    attributes = models.JSONField(default=list)
    first_at = models.DateTimeField(default=clock.now)
    last_at = models.DateTimeField(default=clock.now)
    asked_at = models.DateTimeField(
        null=True, blank=True
    )  # of a rule's: deletion was asked for since (`manual_requests`)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["profile", "kind", "key", "name", "place", "purpose"], name="one_direct_disclosure_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.profile_id} to {self.key}"


class ManualRequest(models.Model):
    """A request to delete a customer that staff carry on: no way leads from here to the service that a rule called.

    `name`, `place`, `purpose` and `attributes` are those of the disclosure. `match` is what the service may know the customer by,
    encrypted, kept until it is done. `erase`: the customer is erased here; `erasure` is the number of the proof.
    """

    profile = models.ForeignKey(
        Profile, null=True, blank=True, on_delete=models.SET_NULL, related_name="manual_requests"
    )
    name = models.CharField(max_length=128)
    place = models.CharField(max_length=255, blank=True)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)
    attributes = models.JSONField(default=list)
    match = EncryptedJSONField(default=dict)
    erase = models.BooleanField(default=False)
    erasure = models.UUIDField(null=True, blank=True, db_index=True)
    asked_at = models.DateTimeField(default=clock.now)
    done_at = models.DateTimeField(null=True, blank=True, db_index=True)
    done_by = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.name}: {'done' if self.done_at else 'open'}"
