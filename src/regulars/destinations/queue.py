"""Write down who must be told, in the transaction that made it news."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from regulars.base.jobs.queue import enqueue
from regulars.base.kit.errors import Refused
from regulars.profiles.models import Profile

from .models import Delivery, Destination

JOB = "deliver"


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
    again = (Delivery.State.FAILED, Delivery.State.DROPPED)
    fresh = {"state": Delivery.State.PENDING, "attempts": 0, "error": "", "last_error": "", "finished_at": None}
    if not Delivery.objects.filter(pk=delivery.pk, state__in=again).update(**fresh):
        raise Refused("not_resendable", "Only failed and dropped deliveries are sent again.")
    delivery.refresh_from_db()
    _enqueue(delivery)


def _queue(destination: Destination, profile: Profile, change: MembershipChange) -> Delivery:
    delivery = Delivery.objects.create(
        destination=destination,
        profile=profile,
        segment_slug=change.segment_slug,
        segment_name=change.segment_name,
        entered=change.entered,
        at=change.at,
    )
    _enqueue(delivery)
    return delivery


def _enqueue(delivery: Delivery) -> None:
    """One customer's news reaches one destination in order: entered before left."""
    key = f"destination:{delivery.destination_id}:profile:{delivery.profile_id}"
    enqueue(JOB, {"delivery": delivery.pk}, key=key)
