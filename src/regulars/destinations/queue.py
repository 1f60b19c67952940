"""Write down who must be told, in the transaction that made it news."""

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

from .models import Delivery, Destination

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
def retry_delivery(delivery: Delivery) -> None:
    """Put a failed or dropped delivery back in line; consent is asked again. Raises `Invalid("not_resendable")`."""
    if not _again(delivery, (State.FAILED, State.DROPPED)):
        raise Invalid("not_resendable", "Only failed and dropped deliveries are sent again.")


@dataclass(frozen=True)
class Again:
    """Which finished messages of a destination are sent once more: what became news in `since <= at < until`, of one
    segment or of all, in some states or in all. Raises `Invalid("bad_period" | "bad_state")`."""

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    segment: str = ""
    states: tuple[str, ...] = FINISHED

    def __post_init__(self) -> None:
        if self.since and self.until and self.until <= self.since:
            raise Invalid("bad_period", "The period ends before it begins.")
        if not self.states or not set(FINISHED).issuperset(self.states):
            raise Invalid("bad_state", "Only what was sent, failed or dropped is sent again.")

    def of(self, destination: Destination) -> QuerySet[Delivery]:
        news = destination.deliveries.filter(state__in=self.states)
        news = news.filter(at__gte=self.since) if self.since else news
        news = news.filter(at__lt=self.until) if self.until else news
        return news.filter(segment_slug=self.segment) if self.segment else news


@transaction.atomic
def send_some_again(destination: Destination, again: Again, after: int = 0, limit: int = CHUNK) -> int:
    """Put the next of them back in line, in their order, after the delivery `after`. Returns the last, 0 at the end.

    Message ids stay, so that a destination that tells repetitions apart has no duplicates; consent is asked again.
    """
    some = list(again.of(destination).filter(pk__gt=after).select_related("destination").order_by("id")[:limit])
    for delivery in some:
        _again(delivery, again.states)
    return some[-1].pk if len(some) == limit else 0


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
            _again(delivery, FINISHED)
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


def _again(delivery: Delivery, states: Sequence[str]) -> bool:
    fresh = {"state": State.PENDING, "attempts": 0, "error": "", "last_error": "", "finished_at": None}
    if not Delivery.objects.filter(pk=delivery.pk, state__in=states).update(queued_at=clock.now(), **fresh):
        return False
    delivery.refresh_from_db()
    _enqueue(delivery)
    return True


def _enqueue(delivery: Delivery) -> None:
    """One customer's news reaches one destination in order: entered before left."""
    key = f"destination:{delivery.destination_id}:profile:{delivery.profile_id}"
    enqueue(JOB, {"delivery": delivery.pk}, key=key, queue=delivery.destination.queue)
