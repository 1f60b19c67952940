"""Contacts whose holder said no, by fingerprint: what was decided holds for later lists and events, and after an erasure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence

from django.db import transaction

from regulars.base import clock
from regulars.base.email_address import readable_email
from regulars.profiles.assertions import Asserter
from regulars.profiles.contacts import TYPED, believed_contacts, proved_of
from regulars.profiles.models import Fact, Profile

from .erasures import fingerprint
from .fold import CUSTOMER_NO
from .journal import record_suppressions
from .models import ConsentEvent, ConsentState, Purpose, Suppression
from .status import ADVERTISING

Action = ConsentEvent.Action
SAID_NO = frozenset({Action.WITHDRAWN, Action.OBJECTED, Action.GPC})


def marketing_purposes() -> list[Purpose]:
    """Return the active purposes that an objection to any advertising closes."""
    return [each for each in Purpose.objects.filter(active=True).order_by("key") if each.is_direct_marketing]


@transaction.atomic
def suppress(
    contacts: Iterable[str], purposes: Collection[str], *, advertising: bool, since: dt.datetime | None = None
) -> None:
    """Close purposes for everyone who comes to hold one of these contacts. `since` is the time of the no; None: now.

    A yes that they gave here after it stays.
    """
    hashes = sorted(fingerprint(each) for each in contacts)
    if hashes and (purposes or advertising):
        closed = dict.fromkeys([*purposes, *([""] if advertising else [])], since or clock.now())
        record_suppressions(suppress_hashes(hashes, closed))


@transaction.atomic
def suppress_hashes(hashes: Collection[str], closed: Mapping[str, dt.datetime]) -> list[Suppression]:
    """As `suppress`, for fingerprints of contacts. `closed`: purpose, or "" for advertising → since. Returns what changed."""
    new = [Suppression(hash=each, advertising=False) for each in hashes]
    Suppression.objects.bulk_create(new, ignore_conflicts=True)
    rows = list(Suppression.objects.select_for_update().filter(hash__in=hashes).order_by("hash"))
    changed = []
    for row in rows:
        held, before = {*row.purposes, *([""] if row.advertising else [])}, dict(row.times)
        for key, since in closed.items():
            latest = max(since, row.since_of(key)) if key in held else since
            row.times[key] = latest.astimezone(dt.UTC).isoformat()
        row.purposes = sorted({*row.purposes, *closed} - {""})
        row.advertising = row.advertising or "" in closed
        if row.times != before or not held.issuperset(closed):
            row.save()
            changed.append(row)
    return changed


@transaction.atomic
def release(contacts: Iterable[str], purpose: str) -> None:
    """Open one purpose again, which the holder of these contacts has allowed; what else they closed stays closed."""
    hashes = [fingerprint(each) for each in contacts]
    for row in Suppression.objects.select_for_update().filter(hash__in=hashes).order_by("hash") if hashes else ():
        closed = set(row.purposes) | ({each.key for each in marketing_purposes()} if row.advertising else set())
        if purpose not in closed:
            continue
        kept = sorted(closed - {purpose})
        # What only the objection to any advertising closed is closed since then.
        row.times = {key: row.since_of(key if key in row.purposes else "").isoformat() for key in kept}
        row.purposes, row.advertising = kept, False
        if row.purposes:
            row.save()
        else:
            row.delete()


def suppress_erased(profiles: Iterable[Profile]) -> int:
    """Keep what erased customers had closed, for later lists and events. Returns how many contacts are suppressed.

    Not a number that they only typed: its holder may be anybody else.
    """
    count = 0
    for profile in profiles:
        states = ConsentState.objects.filter(profile=profile, status__in=CUSTOMER_NO).select_related("event")
        by_time: dict[dt.datetime, list[ConsentState]] = {}
        for state in states:
            by_time.setdefault(state.since, []).append(state)
        contacts = believed_contacts(profile) if by_time else set()
        for since, closed in by_time.items():
            any_advertising = any(state.event.evidence.get(ADVERTISING) for state in closed)
            suppress(contacts, [state.purpose_id for state in closed], advertising=any_advertising, since=since)
        count += len(contacts)
    return count


def suppressed(profiles: Sequence[Profile]) -> dict[int, dict[str, dt.datetime]]:
    """Return profile id → purpose → since when it is closed, for profiles that hold a suppressed contact.

    What they only typed counts once it is proved.
    """
    held = Fact.objects.filter(profile__in=profiles, contact__isnull=False, retracted_at=None)
    held = held.exclude(asserter=Asserter.PUBLIC_KEY)
    hashes: dict[str, set[tuple[int, str, bool]]] = {}
    for number, contact, asserter in held.values_list("profile_id", "contact", "asserter"):
        # The readable form too: suppressed before addresses had one form.
        for spelling in {str(contact), readable_email(str(contact))}:
            hashes.setdefault(fingerprint(spelling), set()).add((number, str(contact), asserter in TYPED))
    rows = list(Suppression.objects.filter(hash__in=hashes)) if hashes else []
    typed = {number for row in rows for number, _, is_typed in hashes[row.hash] if is_typed}
    proved = proved_of([each for each in profiles if each.pk in typed])
    marketing = [each.key for each in marketing_purposes()] if any(row.advertising for row in rows) else []
    found: dict[int, dict[str, dt.datetime]] = {}
    for row in rows:
        holders = hashes[row.hash]
        for number in {pk for pk, contact, is_typed in holders if not is_typed or contact in proved[pk]}:
            closed = found.setdefault(number, {})
            since = {key: row.since_of(key) for key in row.purposes}
            for key in marketing if row.advertising else ():
                since[key] = max(row.since_of(""), since.get(key, row.since_of("")))
            for key, moment in since.items():
                closed[key] = max(moment, closed.get(key, moment))
    return found
