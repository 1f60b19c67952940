"""Disclosures to look-up sources and to applications of other companies, recorded before the data leaves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from regulars.base import clock
from regulars.profiles.models import Profile

from .models import DirectDisclosure

Kind = DirectDisclosure.Kind
# The same attributes again within this time change nothing but the time: not written at every request.
FRESH_FOR = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Receiver:
    """Who is given data: a source or an application, by the name that customers read, and its host."""

    kind: Kind
    key: str
    name: str
    place: str
    purpose: str


def record_direct(profile: Profile, receiver: Receiver, attributes: Iterable[str]) -> None:
    """Record which attributes the receiver is given. Mostly one read: known attributes are written once an hour."""
    now, given = clock.now(), set(attributes)
    row = DirectDisclosure.objects.filter(
        profile=profile,
        kind=receiver.kind,
        key=receiver.key,
        name=receiver.name[:128],
        place=receiver.place[:255],
        purpose=receiver.purpose,
    ).first()
    if row is None:
        DirectDisclosure.objects.get_or_create(
            profile=profile,
            kind=receiver.kind,
            key=receiver.key,
            name=receiver.name[:128],
            place=receiver.place[:255],
            purpose_id=receiver.purpose,
            defaults={"attributes": sorted(given), "first_at": now, "last_at": now},
        )
    elif not given <= set(row.attributes) or now - row.last_at > FRESH_FOR:
        row.attributes, row.last_at = sorted(given | set(row.attributes)), now
        row.save(update_fields=["attributes", "last_at"])
