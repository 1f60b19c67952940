"""Disclosures: which destination received which facts. Recorded before anything leaves, kept until deletion is confirmed."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from regulars.base import clock
from regulars.base.errors import DomainError, Invalid
from regulars.base.jobs.tasks import enqueue
from regulars.consent.view import may
from regulars.profiles.models import Profile

from .field_changes import fields_of
from .kind import KINDS
from .message import ComposedMessage
from .models import Destination, DestinationVersion, DirectDisclosure, Disclosure, ManualRequest
from .versions import is_same_place, version_of

JOB, UPDATE_JOB = "deletion_request", "disclosure_update"
GIVEN_UP = "given_up"  # error of a request to erase whose customer nothing here can name any more
State = Disclosure.State
# States in which the destination has the data and was not asked to delete everything.
HELD = (State.ATTEMPTED, State.SENT, State.UPDATING, State.NOT_UPDATED)


class ErasedMeanwhile(DomainError):
    """The customer was erased or withdrew while the message was composed: `forgotten`, `no_consent`. Nothing is sent."""


@dataclass(frozen=True)
class DisclosureRecord:
    """One recipient on the customer's page: what it received, when, and the state of its update or deletion.

    `kind` is `destination`, `lookup`, `application` or `rule_host`. `recipient`, `place` (a host, empty for a file on this machine) and `purpose` are as they were when it was sent.
    `attributes` are keys. `erased`: the deletion of the customer was asked for, not the end of a use. `carried_out`: what was
    asked for is done there, and not only received.
    """

    kind: str
    recipient: str
    place: str
    purpose: str
    attributes: tuple[str, ...]
    segments: tuple[str, ...]
    first_at: dt.datetime
    last_at: dt.datetime
    state: str
    erased: bool
    carried_out: bool
    confirmed_at: dt.datetime | None

    @property
    def is_confirmed(self) -> bool:
        """Return whether `confirmed_at` is of something done there, not of a request that was only received."""
        return self.state != State.REMOVED or self.carried_out


def disclosures_of(profile: Profile) -> list[DisclosureRecord]:
    """Return the disclosures about a customer, newest first. Those that may not have arrived (`attempted`) are included."""
    profiles = [profile, *profile.merged.all()]
    rows = Disclosure.objects.filter(profile__in=profiles).select_related("destination", "version")
    found = [
        DisclosureRecord(
            kind="destination",
            recipient=row.version.name,
            place=place_of(row),
            purpose=row.version.purpose_id,
            attributes=tuple(sorted({each["attribute"] for each in row.fields.values()})),
            segments=tuple(row.segments),
            first_at=row.first_at,
            last_at=row.last_at,
            state=row.state,
            erased=row.erase,
            carried_out=is_carried_out(row),
            confirmed_at=row.confirmed_at,
        )
        for row in rows
    ]
    manual = ManualRequest.objects.filter(profile__in=profiles).order_by("asked_at")
    requests = {(each.name, each.place, each.purpose_id): each for each in manual}  # the newest of each
    found += [
        DisclosureRecord(
            kind=direct.kind,
            recipient=direct.name,
            place=direct.place,
            purpose=direct.purpose_id,
            attributes=tuple(direct.attributes),
            segments=(),
            first_at=direct.first_at,
            last_at=direct.last_at,
            state=_direct_state(direct, request := requests.get((direct.name, direct.place, direct.purpose_id))),
            erased=request is not None and request.erase,
            carried_out=True,
            confirmed_at=request.done_at if request and direct.asked_at else None,
        )
        for direct in DirectDisclosure.objects.filter(profile__in=profiles)
    ]
    return sorted(found, key=lambda each: each.last_at, reverse=True)


def _direct_state(direct: DirectDisclosure, request: ManualRequest | None) -> State:
    """Return the state of what a look-up, an application or a rule disclosed; only of a rule deletion is asked for."""
    if direct.kind != DirectDisclosure.Kind.RULE_HOST:
        return State.SENT
    if direct.asked_at is None:
        return State.ATTEMPTED  # recorded before it left
    if request is None:
        return State.REMOVING  # by a destination
    return State.REMOVED if request.done_at else State.FAILED  # staff must ask


def is_carried_out(disclosure: Disclosure) -> bool:
    """Return whether the destination has confirmed that what it was asked for is done; a plug-in that is gone has not."""
    if disclosure.state != State.REMOVED or disclosure.destination.kind not in KINDS:
        return False
    kind = KINDS[disclosure.destination.kind]
    return kind.confirms_erasure if disclosure.erase else kind.confirms_removal


def place_of(disclosure: Disclosure) -> str:
    """Return the host that received it, empty for a file on this machine and for a plug-in that is not installed."""
    kind = disclosure.destination.kind
    return KINDS[kind].place(disclosure.version.settings) if kind in KINDS else ""


@transaction.atomic
def record_attempt(destination: Destination, profile: Profile, composed: ComposedMessage) -> Disclosure:
    """Record the disclosure before a message leaves, so that erasure, withdrawal or correction a moment later knows of it.

    Raises `ErasedMeanwhile` when that happened already. A decision of the customer locks their row too: it comes before
    this and is seen here, or after it and finds the row that a deletion request needs.
    """
    locked = Profile.objects.select_for_update().filter(pk=profile.pk).first()
    if locked is None:
        raise ErasedMeanwhile("forgotten", "The customer was erased.")
    for purpose in composed.purposes:
        if not may(locked, purpose):
            raise ErasedMeanwhile("no_consent", f"The customer does not allow the purpose {purpose!r} any more.")
    row = _row_of(version_of(destination), destination, profile)
    row.match = {**row.match, "user_id": composed.message.user_id, **composed.message.match}
    row.fields |= fields_of(composed)
    if row.state not in HELD:
        row.state, row.erase, row.error, row.last_error, row.attempts = State.ATTEMPTED, False, "", "", 0
    row.save()
    return row


def _row_of(version: DestinationVersion, destination: Destination, profile: Profile) -> Disclosure:
    """Return the customer's row at this place and for this purpose; only the name may have been another one before."""
    for row in Disclosure.objects.filter(destination=destination, profile=profile).select_related("version"):
        before = row.version
        same = is_same_place(destination.kind, before.settings, version.settings)
        if before.pk == version.pk or (same and before.purpose_id == version.purpose_id):
            row.version = version
            return row
    return Disclosure(destination=destination, profile=profile, version=version)


@transaction.atomic
def record_sent(disclosure: Disclosure, composed: ComposedMessage) -> None:
    """Record that it arrived. If the customer was erased meanwhile, the row without a name waits for its deletion."""
    row = Disclosure.objects.select_for_update().filter(pk=disclosure.pk).first()
    if row is None or row.profile_id is None:
        return
    message = composed.message
    row.fields |= fields_of(composed)
    others = [slug for slug in row.segments if slug != message.segment_slug]
    row.segments = [*others, message.segment_slug] if message.entered else others
    row.last_at = clock.now()
    if row.state == State.ATTEMPTED:
        row.state = State.SENT
    row.save()


@transaction.atomic
def queue_erasure_requests(profiles: Iterable[Profile]) -> list[Disclosure]:
    """Queue erasure requests before profiles are erased, to every destination, also those that removed them already."""
    rows = Disclosure.objects.select_for_update().filter(profile__in=list(profiles))
    return queue_removals(list(rows.select_related("destination")), erase=True)


def retry_deletion_request(disclosure: Disclosure) -> None:
    """Queue a failed update or deletion request again. Raises `Invalid`: `not_failed`, `given_up`."""
    if disclosure.error == GIVEN_UP:
        raise Invalid(
            GIVEN_UP, "What the destination knows this customer by is deleted here. Ask its operator to look."
        )
    if disclosure.state == State.NOT_UPDATED:
        queue_updates([disclosure])
    elif disclosure.state == State.FAILED:
        queue_removals([disclosure], erase=disclosure.erase)
    else:
        raise Invalid("not_failed", "Only failed deletion requests can be retried.")


@transaction.atomic
def retry_failed_deletion_requests(destination: Destination) -> int:
    """Queue every failed update and deletion request of a destination again. Returns how many."""
    failed = destination.disclosures.select_for_update().filter(state__in=(State.FAILED, State.NOT_UPDATED))
    rows = list(failed.exclude(error=GIVEN_UP).order_by("id"))
    for row in rows:
        row.destination = destination
        retry_deletion_request(row)
    return len(rows)


def queue_removals(rows: list[Disclosure], *, erase: bool) -> list[Disclosure]:
    """Queue behind the messages about the same customer to the same destination."""
    return _queue(rows, State.REMOVING, JOB, erase=erase)


def queue_updates(rows: list[Disclosure]) -> list[Disclosure]:
    """Queue an update of the fields that changed; which ones is found when it is sent."""
    return _queue(rows, State.UPDATING, UPDATE_JOB, erase=False)


def _queue(rows: list[Disclosure], state: State, job: str, *, erase: bool) -> list[Disclosure]:
    for row in rows:
        row.state, row.erase, row.asked_at, row.attempts = state, erase, clock.now(), 0
        row.error, row.last_error, row.confirmed_at = "", "", None
        row.request_id = row.request_id if state == State.REMOVING else uuid.uuid4()
        row.save()
        key = f"destination:{row.destination_id}:profile:{row.profile_id}"
        enqueue(job, {"disclosure": row.pk}, key=key, queue=row.destination.queue)
    return rows
