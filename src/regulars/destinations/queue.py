"""Queue messages about changes of membership, in the transaction of the change; replay and backfill."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from regulars.base import clock
from regulars.base.errors import Invalid
from regulars.base.jobs.tasks import enqueue
from regulars.profiles.models import Profile

from .models import Delivery, Destination, Disclosure

JOB = "deliver"
MESSAGES = uuid.UUID("5b0f3f43-6f0c-4f6b-9a51-6d1d6a2c8b1e")  # the namespace of message ids
State = Delivery.State
FINISHED: tuple[str, ...] = (State.SENT, State.FAILED, State.DROPPED)
CHUNK = 500  # messages queued in one transaction


@dataclass(frozen=True)
class MembershipChange:
    """A customer entered (or left) a segment at `at`."""

    segment_slug: str
    segment_name: str
    entered: bool
    at: dt.datetime


@transaction.atomic
def queue_changes(profile: Profile, changes: Sequence[MembershipChange]) -> list[Delivery]:
    """Queue one delivery for each change and each enabled destination that lists its segment."""
    if not changes:
        return []
    destinations = list(Destination.objects.filter(enabled=True).order_by("id"))
    deliveries = []
    for change in changes:
        for destination in (each for each in destinations if change.segment_slug in each.segment_slugs):
            delivery, made = _row(destination, profile, change)
            if made:
                _enqueue(delivery)
            deliveries.append(delivery)
    return deliveries


@transaction.atomic
def retry_delivery(delivery: Delivery) -> None:
    """Queue a failed or dropped delivery again; consent is checked again. Raises `Invalid("not_resendable")`."""
    if not _requeue(delivery, (State.FAILED, State.DROPPED)):
        raise Invalid("not_resendable", "Only failed and dropped deliveries can be sent again.")


@dataclass(frozen=True)
class ReplayFilter:
    """Which finished messages of a destination are replayed: those of `since <= at < until`, one segment or all, some
    states or all. Raises `Invalid("bad_period" | "bad_state")`."""

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    segment: str = ""
    states: tuple[str, ...] = FINISHED

    def __post_init__(self) -> None:
        if self.since and self.until and self.until <= self.since:
            raise Invalid("bad_period", "The period ends before it begins.")
        if not self.states or not set(FINISHED).issuperset(self.states):
            raise Invalid("bad_state", "Only sent, failed and dropped messages can be replayed.")

    def of(self, destination: Destination) -> QuerySet[Delivery]:
        found = destination.deliveries.filter(state__in=self.states)
        found = found.filter(at__gte=self.since) if self.since else found
        found = found.filter(at__lt=self.until) if self.until else found
        return found.filter(segment_slug=self.segment) if self.segment else found


@transaction.atomic
def replay_batch(destination: Destination, which: ReplayFilter, after: int = 0, limit: int = CHUNK) -> int:
    """Queue the next finished messages again, in their order, after the delivery `after`. Returns the last, 0 at the end.

    Message ids stay, so that a destination that recognises them has no duplicates; consent is checked again.
    """
    some = list(which.of(destination).filter(pk__gt=after).select_related("destination").order_by("id")[:limit])
    for delivery in some:
        _requeue(delivery, which.states)
    return some[-1].pk if len(some) == limit else 0


@transaction.atomic
def queue_members(destination: Destination, members: Iterable[tuple[Profile, MembershipChange]]) -> int:
    """Queue a message for each member that a segment has already. Returns how many.

    A member that the destination received before is sent again under the same message id.
    """
    deliveries = [_row(destination, profile, change) for profile, change in members]
    for delivery, made in deliveries:
        if made:
            _enqueue(delivery)
        else:
            _requeue(delivery, FINISHED)
    return len(deliveries)


def resend_memberships(disclosure: Disclosure) -> None:
    """Queue the last message about each segment again that the destination believes the customer is in."""
    for slug in disclosure.segments:
        sent = Delivery.objects.filter(
            destination=disclosure.destination_id, profile=disclosure.profile_id, segment_slug=slug, entered=True
        )
        last = sent.select_related("destination").order_by("-at", "-id").first()
        if last is not None:
            _requeue(last, FINISHED)


def _row(destination: Destination, profile: Profile, change: MembershipChange) -> tuple[Delivery, bool]:
    """Return the one delivery of this change, and whether it is new. One change has one id, however often it is queued."""
    what = f"{destination.pk}:{profile.pk}:{change.segment_slug}:{change.entered}:{change.at.isoformat()}"
    segment = {"segment_slug": change.segment_slug, "segment_name": change.segment_name, "entered": change.entered}
    return Delivery.objects.get_or_create(
        message_id=uuid.uuid5(MESSAGES, what),
        defaults={"destination": destination, "profile": profile, "at": change.at, **segment},
    )


def _requeue(delivery: Delivery, states: Sequence[str]) -> bool:
    fresh = {"state": State.PENDING, "attempts": 0, "error": "", "last_error": "", "finished_at": None}
    if not Delivery.objects.filter(pk=delivery.pk, state__in=states).update(queued_at=clock.now(), **fresh):
        return False
    delivery.refresh_from_db()
    _enqueue(delivery)
    return True


def _enqueue(delivery: Delivery) -> None:
    """Queue by customer and destination, so that messages arrive in order: entered before left."""
    key = f"destination:{delivery.destination_id}:profile:{delivery.profile_id}"
    enqueue(JOB, {"delivery": delivery.pk}, key=key, queue=delivery.destination.queue)
