"""Disclosures to look-up sources and to applications of other companies, recorded before the data leaves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

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
    whom = {
        "profile": profile,
        "kind": receiver.kind,
        "key": receiver.key,
        "name": receiver.name[:128],
        "place": receiver.place[:255],
        "purpose_id": receiver.purpose,
    }
    row = DirectDisclosure.objects.filter(**whom).first()
    if row is not None and given <= set(row.attributes) and now - row.last_at <= FRESH_FOR:
        return
    with transaction.atomic():
        # Read again under the lock: another request may have added attributes.
        row, is_new = DirectDisclosure.objects.select_for_update().get_or_create(
            **whom, defaults={"attributes": sorted(given), "first_at": now, "last_at": now}
        )
        if not is_new:
            row.attributes, row.last_at = sorted(given | set(row.attributes)), now
            row.save(update_fields=["attributes", "last_at"])
