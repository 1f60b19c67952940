"""A delivery's turn has come; a customer withdrew; a destination is told again, or of everybody a segment has."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import transaction

from regulars.base import clock
from regulars.base.errors import Invalid
from regulars.base.jobs.tasks import enqueue, handles, is_queued
from regulars.destinations.deletion_requests import let_go as ask_to_let_go
from regulars.destinations.deliver import ATTEMPTS
from regulars.destinations.deliver import deliver as send
from regulars.destinations.disclosures import JOB as LET_GO
from regulars.destinations.models import Delivery, Destination, Disclosure
from regulars.destinations.queue import CHUNK, JOB, Again, MembershipChange, queue_members, send_some_again
from regulars.segments.members import members
from regulars.segments.models import Membership, Segment

AGAIN, EVERYBODY = "deliver.again", "deliver.everybody"


# The delivery counts its own attempts; the job has room for workers that died before they could.
@handles(JOB, attempts=2 * ATTEMPTS, non_transactional=True)
def deliver(payload: dict[str, Any]) -> None:
    """Payload: `{"delivery": id}`. A delivery that is gone went with its customer or its destination."""
    delivery = Delivery.objects.select_related("destination", "profile").filter(pk=payload["delivery"]).first()
    if delivery is not None:
        send(delivery)


@handles(LET_GO, attempts=2 * ATTEMPTS, non_transactional=True)
def let_go(payload: dict[str, Any]) -> None:
    """Payload: `{"disclosure": id}`."""
    disclosure = Disclosure.objects.select_related("destination").filter(pk=payload["disclosure"]).first()
    if disclosure is not None:
        ask_to_let_go(disclosure)


@transaction.atomic
def queue_replay(destination: Destination, again: Again) -> int:
    """Queue finished messages of a destination once more, in the worker's time. Returns how many it will be.

    Raises `Invalid("switched_off" | "under_way" | "nothing_to_send")`.
    """
    count = again.of(destination).count()
    _begin(AGAIN, destination, count, {"again": _written(again)})
    return count


@transaction.atomic
def queue_backfill(destination: Destination, segment_slug: str) -> int:
    """Tell a destination of everybody who is in the segment, in the worker's time. Returns how many that are now.

    Whoever was told of before is told again under the same message id. Raises `Invalid("unknown_segment" |
    "segment_not_followed" | "switched_off" | "under_way" | "nothing_to_send")`.
    """
    count = count_members(destination, segment_slug)
    _begin(EVERYBODY, destination, count, {"segment": segment_slug})
    return count


def count_members(destination: Destination, segment_slug: str) -> int:
    """How many `queue_backfill` would tell of. Raises `Invalid("unknown_segment" | "segment_not_followed")`."""
    segment = Segment.objects.filter(slug=segment_slug).first()
    if segment is None:
        raise Invalid("unknown_segment", f"There is no segment called {segment_slug!r}.")
    if segment_slug not in destination.segment_slugs:
        raise Invalid("segment_not_followed", "The destination does not follow this segment.")
    return segment.memberships.filter(state=Membership.State.IN).count()


def is_under_way(destination: Destination) -> bool:
    """Whether messages are being queued again right now, or everybody of a segment."""
    return any(is_queued(kind, _key(destination)) for kind in (AGAIN, EVERYBODY))


# Both go on where they stopped: each turn queues some and writes down the next turn in the same transaction.
@handles(AGAIN)
def continue_replay(payload: dict[str, Any]) -> None:
    """Payload: `{"destination": id, "again": {…}, "after": delivery}`."""
    destination = Destination.objects.filter(pk=payload["destination"]).first()
    if destination and (last := send_some_again(destination, _read(payload["again"]), payload["after"])):
        enqueue(AGAIN, {**payload, "after": last}, key=_key(destination))


@handles(EVERYBODY)
def continue_backfill(payload: dict[str, Any]) -> None:
    """Payload: `{"destination": id, "segment": slug, "after": profile}`. Who has left meanwhile is not told of."""
    destination = Destination.objects.filter(pk=payload["destination"]).first()
    segment = Segment.objects.filter(slug=payload["segment"]).first()
    if destination is None or segment is None:
        return
    some = members(segment, Membership.State.IN, CHUNK, payload["after"])
    queue_members(
        destination,
        [(each.profile, MembershipChange(segment.slug, segment.name, entered=True, at=each.since)) for each in some],
    )
    if len(some) == CHUNK:
        enqueue(EVERYBODY, {**payload, "after": some[-1].profile_id}, key=_key(destination))


def _begin(kind: str, destination: Destination, count: int, payload: dict[str, Any]) -> None:
    if not destination.enabled:
        raise Invalid(
            "switched_off", "The destination is switched off: everything would be dropped. Switch it on first."
        )
    Destination.objects.select_for_update().get(pk=destination.pk)  # of two who click at once the second sees the first
    if is_under_way(destination):
        raise Invalid("under_way", "It is being told again right now. Wait until that is queued.")
    if not count:
        raise Invalid("nothing_to_send", "There is nothing to send.")
    enqueue(kind, {"destination": destination.pk, **payload, "after": 0}, key=_key(destination))


def _key(destination: Destination) -> str:
    return f"again:{destination.pk}"


def _written(again: Again) -> dict[str, Any]:
    """A period without an end ends now: what happens meanwhile is sent once and not twice."""
    since, until = again.since, again.until or clock.now()
    return {**vars(again), "since": since.isoformat() if since else None, "until": until.isoformat()}


def _read(written: dict[str, Any]) -> Again:
    since = written["since"]
    return Again(
        since=dt.datetime.fromisoformat(since) if since else None,
        until=dt.datetime.fromisoformat(written["until"]),
        segment=written["segment"],
        states=tuple(written["states"]),
    )
