"""Disclosures: which destination received which facts. Recorded before anything leaves, kept until deletion is confirmed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from regulars.base import clock
from regulars.base.errors import DomainError, Invalid
from regulars.base.jobs.tasks import enqueue
from regulars.consent.view import may
from regulars.profiles.models import Profile

from .message import ComposedMessage
from .models import Destination, Disclosure

JOB = "deletion_request"
State = Disclosure.State
DISCLOSED = (State.ATTEMPTED, State.SENT)


class ErasedMeanwhile(DomainError):
    """The customer was erased or withdrew while the message was composed: `forgotten`, `no_consent`. Nothing is sent."""


@dataclass(frozen=True)
class DisclosureRecord:
    """One destination on the customer's page: what it received, when, and the state of its deletion. `attributes` are keys."""

    destination: str
    purpose: str
    attributes: tuple[str, ...]
    segments: tuple[str, ...]
    first_at: dt.datetime
    last_at: dt.datetime
    state: str
    confirmed_at: dt.datetime | None


def disclosures_of(profile: Profile) -> list[DisclosureRecord]:
    """Return the disclosures about a customer, newest first. Those that may not have arrived (`attempted`) are included."""
    rows = (
        Disclosure.objects.filter(profile__in=[profile, *profile.merged.all()])
        .select_related("destination")
        .order_by("-last_at")
    )
    return [
        DisclosureRecord(
            destination=row.destination.name,
            purpose=row.destination.purpose_id,
            attributes=tuple(sorted({each["attribute"] for each in row.fields.values()})),
            segments=tuple(row.segments),
            first_at=row.first_at,
            last_at=row.last_at,
            state=row.state,
            confirmed_at=row.confirmed_at,
        )
        for row in rows
    ]


@transaction.atomic
def record_attempt(destination: Destination, profile: Profile, composed: ComposedMessage) -> Disclosure:
    """Record the disclosure before a message leaves, so that erasure or withdrawal a moment later knows of it.

    Raises `ErasedMeanwhile` when that happened already. A decision of the customer locks their row too: it comes before
    this and is seen here, or after it and finds the row that a deletion request needs.
    """
    if not Profile.objects.select_for_update().filter(pk=profile.pk).exists():
        raise ErasedMeanwhile("forgotten", "The customer was erased.")
    for purpose in composed.purposes:
        if not may(profile, purpose):
            raise ErasedMeanwhile("no_consent", f"The customer does not allow the purpose {purpose!r} any more.")
    row, made = Disclosure.objects.get_or_create(destination=destination, profile=profile)
    row.match = {**row.match, "user_id": composed.message.user_id, **composed.message.match}
    if not made and row.state not in DISCLOSED:
        row.state, row.error, row.last_error, row.attempts = State.ATTEMPTED, "", "", 0
    row.save()
    return row


@transaction.atomic
def record_sent(disclosure: Disclosure, composed: ComposedMessage) -> None:
    """Record that it arrived. If the customer was erased meanwhile, the row without a name waits for its deletion."""
    row = Disclosure.objects.select_for_update().filter(pk=disclosure.pk).first()
    if row is None or row.profile_id is None:
        return
    now, message = clock.now(), composed.message
    row.fields |= {
        name: {"attribute": attribute, "fact": value.fact_id, "at": now.isoformat()}
        for name, (attribute, value) in composed.sources.items()
    }
    others = [slug for slug in row.segments if slug != message.segment_slug]
    row.segments = [*others, message.segment_slug] if message.entered else others
    row.last_at = now
    if row.state == State.ATTEMPTED:
        row.state = State.SENT
    row.save()


@transaction.atomic
def queue_removal_requests(profile: Profile) -> list[Disclosure]:
    """Queue deletion requests after a change of consent, to destinations whose purpose is not permitted any more."""
    rows = Disclosure.objects.filter(profile__in=[profile, *profile.merged.all()], state__in=DISCLOSED).select_related(
        "destination"
    )
    held = list(rows)
    closed = {purpose for purpose in {row.destination.purpose_id for row in held} if not may(profile, purpose)}
    return _queue([row for row in held if row.destination.purpose_id in closed], erase=False)


@transaction.atomic
def queue_erasure_requests(profiles: Iterable[Profile]) -> list[Disclosure]:
    """Queue erasure requests before profiles are erased, to every destination, also those that removed them already."""
    rows = Disclosure.objects.select_for_update().filter(profile__in=list(profiles))
    return _queue(list(rows.select_related("destination")), erase=True)


def retry_deletion_request(disclosure: Disclosure) -> None:
    """Queue a failed deletion request again. Raises `Invalid("not_failed")`."""
    if disclosure.state != State.FAILED:
        raise Invalid("not_failed", "Only failed deletion requests can be retried.")
    _queue([disclosure], erase=disclosure.erase)


@transaction.atomic
def retry_failed_deletion_requests(destination: Destination) -> int:
    """Queue every failed deletion request of a destination again. Returns how many."""
    rows = list(destination.disclosures.select_for_update().filter(state=State.FAILED).order_by("id"))
    for row in rows:
        row.destination = destination
        _queue([row], erase=row.erase)
    return len(rows)


def _queue(rows: list[Disclosure], *, erase: bool) -> list[Disclosure]:
    """Queue behind the messages about the same customer to the same destination."""
    for row in rows:
        row.state, row.erase, row.asked_at, row.attempts = State.REMOVING, erase, clock.now(), 0
        row.error, row.last_error, row.confirmed_at = "", "", None
        row.save()
        key = f"destination:{row.destination_id}:profile:{row.profile_id}"
        enqueue(JOB, {"disclosure": row.pk}, key=key, queue=row.destination.queue)
    return rows
