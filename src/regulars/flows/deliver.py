"""A delivery's turn has come; a customer withdrew; a destination is told again, or of everybody a segment has."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from regulars.base.jobs.queue import handles
from regulars.base.kit.errors import Refused
from regulars.destinations.deliver import ATTEMPTS
from regulars.destinations.deliver import deliver as send
from regulars.destinations.disclose import JOB as LET_GO
from regulars.destinations.let_go import let_go as ask_to_let_go
from regulars.destinations.models import Delivery, Destination, Disclosure
from regulars.destinations.queue import JOB, MembershipChange, queue_members
from regulars.segments.models import Membership, Segment


# The delivery counts its own attempts; the job has room for workers that died before they could.
@handles(JOB, attempts=2 * ATTEMPTS, calls_out=True)
def deliver(payload: dict[str, Any]) -> None:
    """Payload: `{"delivery": id}`. A delivery that is gone went with its customer or its destination."""
    delivery = Delivery.objects.select_related("destination", "profile").filter(pk=payload["delivery"]).first()
    if delivery is not None:
        send(delivery)


@handles(LET_GO, attempts=2 * ATTEMPTS, calls_out=True)
def let_go(payload: dict[str, Any]) -> None:
    """Payload: `{"disclosure": id}`."""
    disclosure = Disclosure.objects.select_related("destination").filter(pk=payload["disclosure"]).first()
    if disclosure is not None:
        ask_to_let_go(disclosure)


@transaction.atomic
def tell_of_members(destination: Destination, segment_slug: str) -> int:
    """Tell a destination of everybody who is in the segment now. Returns how many messages wait.

    Raises `Refused("unknown_segment" | "segment_not_followed")`. Doing it twice sends the same message ids again.
    """
    segment = Segment.objects.filter(slug=segment_slug).first()
    if segment is None:
        raise Refused("unknown_segment", f"There is no segment called {segment_slug!r}.")
    if segment_slug not in destination.segment_slugs:
        raise Refused("segment_not_followed", "The destination does not follow this segment.")
    members = Membership.objects.filter(segment=segment, state=Membership.State.IN).select_related("profile")
    news = (
        (member.profile, MembershipChange(segment.slug, segment.name, entered=True, at=member.since))
        for member in members.order_by("id").iterator(chunk_size=500)
    )
    return queue_members(destination, news)
