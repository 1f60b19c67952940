"""Jobs that send messages and deletion requests to destinations; replay of messages and backfill of segments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

from regulars.base import clock
from regulars.base.errors import Invalid
from regulars.base.jobs.tasks import enqueue, handles, is_queued
from regulars.consent.uses import WHY_STOPPED, why_no_row
from regulars.destinations.deletion_requests import send_deletion_request
from regulars.destinations.deliver import ATTEMPTS
from regulars.destinations.deliver import deliver as send
from regulars.destinations.disclosures import JOB as DELETION_REQUEST
from regulars.destinations.disclosures import UPDATE_JOB as UPDATE
from regulars.destinations.models import Delivery, Destination, Disclosure
from regulars.destinations.queue import CHUNK, JOB, MembershipChange, ReplayFilter, queue_members, replay_batch
from regulars.destinations.update_requests import send_update
from regulars.segments.members import members
from regulars.segments.models import Membership, Segment

REPLAY, BACKFILL = "deliver.replay", "deliver.backfill"
Payload = Mapping[str, Any]


# The delivery counts its own attempts; the job allows for workers that crashed before they could.
@handles(JOB, attempts=2 * ATTEMPTS, non_transactional=True)
def deliver(payload: Payload) -> None:
    """Payload: `{"delivery": id}`. A missing delivery was deleted with its customer or its destination."""
    delivery = (
        Delivery.objects.select_related("destination__current_version", "profile")
        .filter(pk=payload["delivery"])
        .first()
    )
    if delivery is not None:
        send(delivery, segment_purposes())


def segment_purposes() -> dict[str, str]:
    """Return segment slug → purpose as they are now: a segment may have changed since a message was queued."""
    return dict(Segment.objects.values_list("slug", "purpose_id"))


def refuse_segments_for_groups(slugs: Iterable[str]) -> None:
    """Refuse segments whose members no destination may know. Raises `Invalid("segment_is_for_groups")`."""
    for segment in Segment.objects.filter(slug__in=list(slugs)).select_related("purpose").order_by("name"):
        if why := why_no_row(segment.purpose):
            raise Invalid("segment_is_for_groups", f"{segment.name}: {WHY_STOPPED[why]}", "segments")


@handles(DELETION_REQUEST, attempts=2 * ATTEMPTS, non_transactional=True)
def request_deletion(payload: Payload) -> None:
    """Payload: `{"disclosure": id}`."""
    if (disclosure := _disclosure(payload)) is not None:
        send_deletion_request(disclosure)


@handles(UPDATE, attempts=2 * ATTEMPTS, non_transactional=True)
def request_update(payload: Payload) -> None:
    """Payload: `{"disclosure": id}`."""
    if (disclosure := _disclosure(payload)) is not None:
        send_update(disclosure)


def _disclosure(payload: Payload) -> Disclosure | None:
    rows = Disclosure.objects.select_related("destination", "version").filter(pk=payload["disclosure"])
    return rows.first()


@transaction.atomic
def queue_replay(destination: Destination, which: ReplayFilter) -> int:
    """Queue finished messages of a destination again, in the worker. Returns how many it will be.

    A period without an end ends now: messages of the meantime are sent once and not twice. Raises
    `Invalid("switched_off" | "under_way" | "nothing_to_send")`.
    """
    count = which.of(destination).count()
    since, until = which.since, which.until or clock.now()
    stored = {**vars(which), "since": since.isoformat() if since else None, "until": until.isoformat()}
    _start(REPLAY, destination, count, {"filter": stored})
    return count


@transaction.atomic
def queue_backfill(destination: Destination, segment_slug: str) -> int:
    """Send all current members of a segment to a destination, in the worker. Returns how many there are now.

    A member that was sent before is sent again under the same message id. Raises `Invalid("unknown_segment" |
    "segment_not_followed" | "switched_off" | "under_way" | "nothing_to_send")`.
    """
    count = count_members(destination, segment_slug)
    _start(BACKFILL, destination, count, {"segment": segment_slug})
    return count


def count_members(destination: Destination, segment_slug: str) -> int:
    """Return how many members `queue_backfill` would send. Raises `Invalid("unknown_segment" | "segment_not_followed")`."""
    segment = Segment.objects.filter(slug=segment_slug).first()
    if segment is None:
        raise Invalid("unknown_segment", f"There is no segment called {segment_slug!r}.")
    if segment_slug not in destination.segment_slugs:
        raise Invalid("segment_not_followed", "The destination does not follow this segment.")
    return segment.memberships.filter(state=Membership.State.IN).count()


def is_replaying(destination: Destination) -> bool:
    """Return whether a replay or a backfill is being queued right now."""
    return any(is_queued(kind, _key(destination)) for kind in (REPLAY, BACKFILL))


# Both continue where they stopped: each run queues some and enqueues the next run in the same transaction.
@handles(REPLAY)
def continue_replay(payload: Payload) -> None:
    """Payload: `{"destination": id, "filter": {…}, "after": delivery}`."""
    destination, stored = Destination.objects.filter(pk=payload["destination"]).first(), payload["filter"]
    which = ReplayFilter(
        since=dt.datetime.fromisoformat(stored["since"]) if stored["since"] else None,
        until=dt.datetime.fromisoformat(stored["until"]),
        segment=stored["segment"],
        states=tuple(stored["states"]),
    )
    if destination and (last := replay_batch(destination, which, payload["after"])):
        enqueue(REPLAY, {**payload, "after": last}, key=_key(destination))


@handles(BACKFILL)
def continue_backfill(payload: Payload) -> None:
    """Payload: `{"destination": id, "segment": slug, "after": profile}`. Members who left meanwhile are not sent."""
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
        enqueue(BACKFILL, {**payload, "after": some[-1].profile_id}, key=_key(destination))


def _start(kind: str, destination: Destination, count: int, payload: Payload) -> None:
    if not destination.enabled:
        raise Invalid(
            "switched_off", "The destination is switched off, so every message would be dropped. Switch it on."
        )
    Destination.objects.select_for_update().get(pk=destination.pk)  # of two at once the second sees the first
    if is_replaying(destination):
        raise Invalid("under_way", "Messages are being queued again right now. Wait until that has finished.")
    if not count:
        raise Invalid("nothing_to_send", "There is nothing to send.")
    enqueue(kind, {"destination": destination.pk, **payload, "after": 0}, key=_key(destination))


def _key(destination: Destination) -> str:
    return f"replay:{destination.pk}"
