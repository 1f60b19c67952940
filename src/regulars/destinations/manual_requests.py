"""Requests to delete that staff carry on: to services that rules called, which have no way to be asked from here.

Where a destination leads to the same host and can remove customers, it is asked instead.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from itertools import groupby

from django.db import transaction
from django.db.models import QuerySet

from regulars.base import clock
from regulars.base.errors import NotFound
from regulars.consent.view import of_whom_open
from regulars.profiles.models import Profile

from .disclosures import GIVEN_UP, HELD, queue_removals
from .field_changes import USER_ID
from .kind import KINDS, match_attributes
from .models import Destination, DirectDisclosure, Disclosure, ManualRequest
from .versions import version_of

RULE_HOST = DirectDisclosure.Kind.RULE_HOST
KNOWN_BY = ("email", "phone_number", "username")  # what a service may know a customer by, beside their id


@transaction.atomic
def follow_rule_calls(customers: Sequence[Profile]) -> None:
    """Ask the services that rules called about these customers to delete them, where the purpose of the calls is closed now.

    Once for each service and purpose, until a rule calls it again.
    """
    customer_of = {profile.pk: profile for profile in customers}
    merged = Profile.objects.filter(merged_into__in=list(customer_of)).values_list("pk", "merged_into_id")
    customer_of |= {pk: customer_of[into] for pk, into in merged}
    rows = DirectDisclosure.objects.filter(profile__in=list(customer_of), kind=RULE_HOST, asked_at=None)
    for purpose, group in groupby(rows.order_by("purpose_id", "id"), key=lambda row: row.purpose_id):
        found = [(row, customer_of[row.profile_id]) for row in group]
        open_for = of_whom_open(list({each.pk: each for _, each in found}.values()), purpose)
        _request([(row, customer) for row, customer in found if customer.pk not in open_for], None)


@transaction.atomic
def request_erasures(profiles: Iterable[Profile], erasure: uuid.UUID) -> None:
    """Ask every service that a rule ever called about a customer who is about to be erased.

    Call it before `disclosures.queue_erasure_requests`, which asks the destinations.
    """
    by_id = {profile.pk: profile for profile in profiles}
    rows = DirectDisclosure.objects.filter(profile__in=list(by_id), kind=RULE_HOST).order_by("id")
    ManualRequest.objects.filter(profile__in=list(by_id), done_at=None).delete()  # each is asked for more now
    _request([(row, by_id[row.profile_id]) for row in rows], erasure)


def _request(rows: Sequence[tuple[DirectDisclosure, Profile]], erasure: uuid.UUID | None) -> None:
    if not rows:
        return
    now, able = clock.now(), _able_destinations()
    for row, customer in rows:
        if destination := able.get(row.place):
            _ask(destination, row, customer, erasure)
        else:
            request = ManualRequest(
                profile_id=row.profile_id,
                name=row.name,
                place=row.place,
                purpose_id=row.purpose_id,
                attributes=row.attributes,
                erase=erasure is not None,
                erasure=erasure,
                asked_at=now,
            )
            request.match = _match(customer, KNOWN_BY)
            request.save()
    DirectDisclosure.objects.filter(pk__in=[row.pk for row, _ in rows]).update(asked_at=now)


def _able_destinations() -> dict[str, Destination]:
    """Return host → the destination that can remove customers there."""
    found: dict[str, Destination] = {}
    for each in Destination.objects.filter(kind__in=list(KINDS)).order_by("-enabled", "id"):
        if KINDS[each.kind].can_remove and (place := KINDS[each.kind].place(each.settings)):
            found.setdefault(place, each)
    return found


def _ask(destination: Destination, row: DirectDisclosure, customer: Profile, erasure: uuid.UUID | None) -> None:
    """Ask a destination, also one that was sent nothing about the customer itself."""
    held = Disclosure.objects.filter(destination=destination, profile=row.profile_id)
    if held.filter(state__in=HELD).exists() and erasure is None:
        return  # which is followed by its own purpose
    version = version_of(destination)
    disclosure = held.filter(version=version).first() or Disclosure(
        destination=destination, version=version, profile_id=row.profile_id
    )
    disclosure.match = {**_match(customer, match_attributes(KINDS[destination.kind])), **disclosure.match}
    disclosure.save()
    if erasure is None:
        queue_removals([disclosure], erase=False)


def _match(customer: Profile, attributes: Iterable[str]) -> dict[str, object]:
    known = {key: customer.document[key] for key in attributes if customer.document.get(key)}
    return {USER_ID: customer.user_id, **known}


@transaction.atomic
def finish_request(number: int, by: str) -> ManualRequest:
    """Mark a request as carried out, and forget what the customer is known by. Raises `NotFound("unknown_request")`."""
    row = ManualRequest.objects.select_for_update().filter(pk=number, done_at=None).first()
    if row is None:
        raise NotFound("unknown_request", "There is no such open request. Reload the page.")
    row.done_at, row.done_by, row.match = clock.now(), by[:64], {}
    row.save(update_fields=["done_at", "done_by", "match"])
    return row


def give_up_manually(rows: QuerySet[ManualRequest]) -> int:
    """Forget what erased customers are known by where no one did what was asked. Returns how many; they stay open."""
    return rows.filter(done_at=None).update(match={}, done_by=GIVEN_UP)
