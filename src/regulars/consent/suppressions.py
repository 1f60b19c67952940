"""Contacts whose holder said no, by fingerprint: what was decided holds for later lists and events, and after an erasure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence

from django.db import transaction

from regulars.base.email_address import readable_email
from regulars.profiles.assertions import Asserter
from regulars.profiles.contacts import contacts_of
from regulars.profiles.models import Fact, Profile

from .erasures import fingerprint
from .journal import record_suppressions
from .models import ConsentEvent, ConsentState, Purpose, Suppression
from .status import ADVERTISING

Action = ConsentEvent.Action
SAID_NO = frozenset({Action.WITHDRAWN, Action.OBJECTED, Action.GPC})


def marketing_purposes() -> list[Purpose]:
    """Return the active purposes that an objection to any advertising closes."""
    return [each for each in Purpose.objects.filter(active=True).order_by("key") if each.is_direct_marketing]


@transaction.atomic
def suppress(contacts: Iterable[str], purposes: Collection[str], *, advertising: bool) -> None:
    """Close purposes for everyone who comes to hold one of these contacts."""
    hashes = sorted(fingerprint(each) for each in contacts)
    if hashes and (purposes or advertising):
        record_suppressions(suppress_hashes(hashes, purposes, advertising=advertising))


@transaction.atomic
def suppress_hashes(hashes: Collection[str], purposes: Collection[str], *, advertising: bool) -> list[Suppression]:
    """As `suppress`, for fingerprints of contacts. Returns the rows as they are then."""
    new = [Suppression(hash=each, advertising=False) for each in hashes]
    Suppression.objects.bulk_create(new, ignore_conflicts=True)
    rows = list(Suppression.objects.select_for_update().filter(hash__in=hashes).order_by("hash"))
    for row in rows:
        row.purposes = sorted({*row.purposes, *purposes})
        row.advertising = row.advertising or advertising
        row.save()
    return rows


@transaction.atomic
def release(contacts: Iterable[str], purpose: str) -> None:
    """Open one purpose again, which the holder of these contacts has allowed; what else they closed stays closed."""
    hashes = [fingerprint(each) for each in contacts]
    for row in Suppression.objects.select_for_update().filter(hash__in=hashes).order_by("hash") if hashes else ():
        closed = set(row.purposes) | ({each.key for each in marketing_purposes()} if row.advertising else set())
        if purpose not in closed:
            continue
        row.purposes, row.advertising = sorted(closed - {purpose}), False
        if row.purposes:
            row.save()
        else:
            row.delete()


def suppress_erased(profiles: Iterable[Profile]) -> int:
    """Keep what erased customers had closed, for later lists and events. Returns how many contacts are suppressed."""
    count = 0
    for profile in profiles:
        states = ConsentState.objects.filter(profile=profile, status__in=SAID_NO).select_related("event")
        closed = {state.purpose_id: state.event.evidence for state in states}
        contacts = contacts_of(profile) if closed else set()
        any_advertising = any(evidence.get(ADVERTISING) for evidence in closed.values())
        suppress(contacts, closed, advertising=any_advertising)
        count += len(contacts)
    return count


def suppressed(profiles: Sequence[Profile]) -> dict[int, dict[str, dt.datetime]]:
    """Return profile id → purpose → since when it is closed, for profiles that hold a suppressed contact."""
    held = Fact.objects.filter(profile__in=profiles, contact__isnull=False, retracted_at=None)
    hashes: dict[str, set[int]] = {}
    for number, contact in held.exclude(asserter=Asserter.PUBLIC_KEY).values_list("profile_id", "contact"):
        # The readable form too: suppressed before addresses had one form.
        for spelling in {str(contact), readable_email(str(contact))}:
            hashes.setdefault(fingerprint(spelling), set()).add(number)
    rows = list(Suppression.objects.filter(hash__in=hashes)) if hashes else []
    marketing = [each.key for each in marketing_purposes()] if any(row.advertising for row in rows) else []
    found: dict[int, dict[str, dt.datetime]] = {}
    for row in rows:
        for number in hashes[row.hash]:
            closed = found.setdefault(number, {})
            for key in {*row.purposes, *(marketing if row.advertising else ())}:
                closed[key] = max(row.since, closed.get(key, row.since))
    return found
