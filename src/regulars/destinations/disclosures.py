"""Who was told which facts, and making them let go: written before anything leaves, kept until it is confirmed."""

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

from .message import Told
from .models import Destination, Disclosure

JOB = "let_go"
State = Disclosure.State
HELD = (State.ATTEMPTED, State.SENT)


class Gone(DomainError):
    """While her message was being written she was forgotten, or took her yes back: `forgotten`, `no_consent`. Nothing is sent."""


@dataclass(frozen=True)
class Disclosed:
    """One line of her page: who was told what, when, and whether they let go of it. `attributes` are keys."""

    destination: str
    purpose: str
    attributes: tuple[str, ...]
    segments: tuple[str, ...]
    first_at: dt.datetime
    last_at: dt.datetime
    state: str
    confirmed_at: dt.datetime | None


def told_about(profile: Profile) -> list[Disclosed]:
    """Everybody who was told of her, newest first. What never left the house for certain (`attempted`) is listed too."""
    rows = Disclosure.objects.filter(profile__in=_all_of(profile)).select_related("destination").order_by("-last_at")
    return [
        Disclosed(
            destination=row.destination.name,
            purpose=row.destination.purpose_id,
            attributes=tuple(sorted({each["attribute"] for each in row.told.values()})),
            segments=tuple(row.segments),
            first_at=row.first_at,
            last_at=row.last_at,
            state=row.state,
            confirmed_at=row.confirmed_at,
        )
        for row in rows
    ]


@transaction.atomic
def note_attempt(destination: Destination, profile: Profile, told: Told) -> Disclosure:
    """Before a message leaves: whoever is forgotten or withdraws a moment later is known to have been told of.

    Raises `Gone` when that happened already. A decision of hers holds her row too: it comes before this and is seen here,
    or after it and finds the row that a removal needs.
    """
    if not Profile.objects.select_for_update().filter(pk=profile.pk).exists():
        raise Gone("forgotten", "She was forgotten.")
    if not may(profile, destination.purpose_id):
        raise Gone("no_consent", f"The customer does not allow the purpose {destination.purpose_id!r} any more.")
    row, made = Disclosure.objects.get_or_create(destination=destination, profile=profile)
    row.match = {**row.match, "user_id": told.message.user_id, **told.message.match}
    if not made and row.state not in HELD:
        row.state, row.error, row.last_error, row.attempts = State.ATTEMPTED, "", "", 0
    row.save()
    return row


@transaction.atomic
def note_sent(disclosure: Disclosure, told: Told) -> None:
    """It arrived. By now she may be gone; then the row, nameless, waits for its deletion and is left as it is."""
    row = Disclosure.objects.select_for_update().filter(pk=disclosure.pk).first()
    if row is None or row.profile_id is None:
        return
    now, message = clock.now(), told.message
    row.told |= {
        name: {"attribute": attribute, "fact": value.fact_id, "at": now.isoformat()}
        for name, (attribute, value) in told.sources.items()
    }
    others = [slug for slug in row.segments if slug != message.segment_slug]
    row.segments = [*others, message.segment_slug] if message.entered else others
    row.last_at = now
    if row.state == State.ATTEMPTED:
        row.state = State.SENT
    row.save()


@transaction.atomic
def queue_removals(profile: Profile) -> list[Disclosure]:
    """After consent changed: whoever was told of her for a purpose she no longer allows is asked to let go."""
    rows = Disclosure.objects.filter(profile__in=_all_of(profile), state__in=HELD).select_related("destination")
    held = list(rows)
    closed = {purpose for purpose in {row.destination.purpose_id for row in held} if not may(profile, purpose)}
    return _ask([row for row in held if row.destination.purpose_id in closed], erase=False)


@transaction.atomic
def queue_deletions(profiles: Iterable[Profile]) -> list[Disclosure]:
    """Before they are forgotten: everybody who was told of them is asked to forget too, even who already let go."""
    rows = Disclosure.objects.select_for_update().filter(profile__in=list(profiles))
    return _ask(list(rows.select_related("destination")), erase=True)


def ask_again(disclosure: Disclosure) -> None:
    """Put a removal that failed back in line. Raises `Invalid("not_failed")`."""
    if disclosure.state != State.FAILED:
        raise Invalid("not_failed", "Only removals that failed are asked for again.")
    _ask([disclosure], erase=disclosure.erase)


@transaction.atomic
def ask_all_again(destination: Destination) -> int:
    """The same for every removal that failed there. Returns how many."""
    rows = list(destination.disclosures.select_for_update().filter(state=State.FAILED).order_by("id"))
    for row in rows:
        row.destination = destination
        _ask([row], erase=row.erase)
    return len(rows)


def _ask(rows: list[Disclosure], *, erase: bool) -> list[Disclosure]:
    """In line behind what is still being sent of her to the same place."""
    for row in rows:
        row.state, row.erase, row.asked_at, row.attempts = State.REMOVING, erase, clock.now(), 0
        row.error, row.last_error, row.confirmed_at = "", "", None
        row.save()
        key = f"destination:{row.destination_id}:profile:{row.profile_id}"
        enqueue(JOB, {"disclosure": row.pk}, key=key, queue=row.destination.queue)
    return rows


def _all_of(profile: Profile) -> list[Profile]:
    """Her, and the visitors she turned out to be."""
    return [profile, *profile.merged.all()]
