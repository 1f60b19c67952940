"""Disclosures to look-up sources, to applications of other companies and by rules, recorded before the data leaves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction

from regulars.base import clock
from regulars.profiles.models import Profile

from .models import DirectDisclosure

Kind = DirectDisclosure.Kind
# The same attributes again within this time change nothing but the time: not written at every request.
FRESH_FOR = dt.timedelta(hours=1)
READING_FRESH_FOR = dt.timedelta(days=1)  # of an API: a machine reads many customers many times


@dataclass(frozen=True)
class Receiver:
    """Who is given data: a source, an application or a service, by the name that customers read, and its host."""

    kind: Kind
    key: str
    name: str
    place: str
    purpose: str


def record_direct(profile: Profile, receiver: Receiver, attributes: Iterable[str]) -> None:
    """Record which attributes the receiver is given. Mostly one read: known attributes are written once an hour."""
    now, given = clock.now(), set(attributes)
    if is_recorded(profile, receiver, given):
        return
    whom = {"profile": profile, **_columns(receiver)}
    with transaction.atomic():
        # Read again under the lock: another request may have added attributes.
        row, is_new = DirectDisclosure.objects.select_for_update().get_or_create(
            **whom, defaults={"attributes": sorted(given), "first_at": now, "last_at": now}
        )
        if not is_new:
            row.attributes, row.last_at, row.asked_at = sorted(given | set(row.attributes)), now, None
            row.save(update_fields=["attributes", "last_at", "asked_at"])


def is_recorded(profile: Profile, receiver: Receiver, attributes: Iterable[str]) -> bool:
    """Return whether a disclosure of these attributes is recorded, and not longer ago than an hour."""
    row = DirectDisclosure.objects.filter(profile=profile, **_columns(receiver)).first()
    if row is None or row.asked_at is not None:
        return False
    return set(attributes) <= set(row.attributes) and clock.now() - row.last_at <= FRESH_FOR


def record_readings(given: Mapping[int, Collection[str]], receiver: Receiver) -> None:
    """Record for many customers which attributes an application is about to read: profile id → attributes.

    Mostly one read: a customer's known attributes are written once a day.
    """
    now, columns = clock.now(), _columns(receiver)
    rows = _rows(given, columns)
    due = [
        pk
        for pk, names in given.items()
        if (row := rows.get(pk)) is None
        or not set(names) <= set(row.attributes)
        or now - row.last_at > READING_FRESH_FOR
    ]
    if not due:
        return
    with transaction.atomic():
        # Not of who was erased meanwhile; and read again under the lock, as above.
        there = list(Profile.objects.select_for_update().filter(pk__in=due).order_by("pk").values_list("pk", flat=True))
        rows = _rows(there, columns)
        read = {pk: sorted({*given[pk], *(rows[pk].attributes if pk in rows else ())}) for pk in there}
        DirectDisclosure.objects.bulk_create(
            [
                DirectDisclosure(profile_id=pk, attributes=read[pk], first_at=now, last_at=now, **columns)
                for pk in there
            ],
            update_conflicts=True,
            unique_fields=["profile", "kind", "key", "name", "place", "purpose"],
            update_fields=["attributes", "last_at"],
        )


def _rows(profiles: Iterable[int], columns: Mapping[str, str]) -> dict[int, DirectDisclosure]:
    found = DirectDisclosure.objects.filter(profile__in=list(profiles), **columns)
    return {row.profile_id: row for row in found}


def _columns(receiver: Receiver) -> dict[str, str]:
    return {
        "kind": receiver.kind,
        "key": receiver.key,
        "name": receiver.name[:128],
        "place": receiver.place[:255],
        "purpose_id": receiver.purpose,
    }
