"""Write down who must be told, in the transaction that made it news."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction

from regulars.base.jobs.queue import enqueue
from regulars.base.kit import clock
from regulars.base.kit.errors import Refused
from regulars.profiles.models import Profile

from .models import Delivery, Destination

JOB = "deliver"
MESSAGES = uuid.UUID("5b0f3f43-6f0c-4f6b-9a51-6d1d6a2c8b1e")  # the namespace of message ids
State = Delivery.State


@dataclass(frozen=True)
class MembershipChange:
    """A customer entered (or left) a segment at `at`."""

    segment_slug: str
    segment_name: str
    entered: bool
    at: dt.datetime


@transaction.atomic
def queue_changes(profile: Profile, changes: Sequence[MembershipChange]) -> list[Delivery]:
    """One delivery for each change and each enabled destination that lists its segment."""
    if not changes:
        return []
    destinations = list(Destination.objects.filter(enabled=True).order_by("id"))
    return [
        _queue(destination, profile, change)
        for change in changes
        for destination in destinations
        if change.segment_slug in destination.segment_slugs
    ]


@transaction.atomic
def resend(delivery: Delivery) -> None:
    """Put a failed or dropped delivery back in line; consent is asked again. Raises `Refused("not_resendable")`."""
    if not _again(delivery, (State.FAILED, State.DROPPED)):
        raise Refused("not_resendable", "Only failed and dropped deliveries are sent again.")


@transaction.atomic
def replay(destination: Destination, since: dt.datetime, until: dt.datetime | None = None, segment: str = "") -> int:
    """Send again everything (of one segment) that became news in `since <= at < until`, in its order. Returns how many.

    Message ids stay, so that a destination that tells repetitions apart has no duplicates; consent is asked again.
    Raises `Refused("bad_period")`.
    """
    end = until or clock.now()
    if end <= since:
        raise Refused("bad_period", "The period ends before it begins.")
    news = destination.deliveries.filter(at__gte=since, at__lt=end).exclude(state=State.PENDING).order_by("at", "id")
    if segment:
        news = news.filter(segment_slug=segment)
    return sum(
        _again(delivery, (State.SENT, State.FAILED, State.DROPPED)) for delivery in news.iterator(chunk_size=500)
    )


@transaction.atomic
def queue_members(destination: Destination, members: Iterable[tuple[Profile, MembershipChange]]) -> int:
    """Tell a destination of those who are in a segment already. Returns how many messages wait.

    Whoever it was told of before is told again under the same message id.
    """
    deliveries = [_row(destination, profile, change) for profile, change in members]
    for delivery, made in deliveries:
        if made:
            _enqueue(delivery)
        else:
            _again(delivery, (State.SENT, State.FAILED, State.DROPPED))
    return len(deliveries)


def _queue(destination: Destination, profile: Profile, change: MembershipChange) -> Delivery:
    delivery, made = _row(destination, profile, change)
    if made:
        _enqueue(delivery)
    return delivery


def _row(destination: Destination, profile: Profile, change: MembershipChange) -> tuple[Delivery, bool]:
    """The one delivery of this news, and whether it is new. What happened once has one id, however often it is queued."""
    what = f"{destination.pk}:{profile.pk}:{change.segment_slug}:{change.entered}:{change.at.isoformat()}"
    news = {"segment_slug": change.segment_slug, "segment_name": change.segment_name, "entered": change.entered}
    return Delivery.objects.get_or_create(
        message_id=uuid.uuid5(MESSAGES, what),
        defaults={"destination": destination, "profile": profile, "at": change.at, **news},
    )


def _again(delivery: Delivery, states: Sequence[State]) -> bool:
    fresh = {"state": State.PENDING, "attempts": 0, "error": "", "last_error": "", "finished_at": None}
    if not Delivery.objects.filter(pk=delivery.pk, state__in=states).update(queued_at=clock.now(), **fresh):
        return False
    delivery.refresh_from_db()
    _enqueue(delivery)
    return True


def _enqueue(delivery: Delivery) -> None:
    """One customer's news reaches one destination in order: entered before left."""
    key = f"destination:{delivery.destination_id}:profile:{delivery.profile_id}"
    enqueue(JOB, {"delivery": delivery.pk}, key=key, lane=delivery.destination.lane)
