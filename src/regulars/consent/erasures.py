"""The list of erasures, by fingerprints: it cleans a restored backup, and refuses erased addresses and ids.

A name of a customer is a user id, `external|<id>`, `anonymous|<id>`, `<provider>|<id>` or `email|<address>`.
"""

from __future__ import annotations

import datetime as dt
import hmac
import json
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.db import transaction

from regulars.base.email_address import readable_email
from regulars.profiles.models import Profile

from .models import ConsentEvent, ConsentState, ErasedIdentifier, Erasure, KeptDecision, Suppression

FILE = "erasures.jsonl"
NO_CONTACT = {ConsentEvent.Action.WITHDRAWN, ConsentEvent.Action.OBJECTED}


def fingerprint(name: str) -> str:
    """Return an HMAC-SHA-256 under the server's secret key, so that names cannot be tried without the key."""
    key = f"regulars.erasures:{settings.SECRET_KEY}".encode()
    return hmac.new(key, name.strip().lower().encode(), "sha256").hexdigest()


def record_erasure(erasure: Erasure) -> None:
    """Save an erasure, and append it to a file that no restored backup replaces once the transaction is committed."""
    erasure.save()
    transaction.on_commit(lambda: _append(erasure))


def recorded_erasures() -> list[Erasure]:
    """Return every erasure in the file or the database, oldest first."""
    known = {each.pk: each for each in _in_file()} | {each.pk: each for each in Erasure.objects.all()}
    return sorted(known.values(), key=lambda each: each.at)


def keep_recorded(erasures: Iterable[Erasure]) -> None:
    """Append missing erasures to the file, before a database that has them is replaced."""
    known = {each.pk for each in _in_file()}
    for erasure in erasures:
        if erasure.pk not in known:
            _append(erasure)


def keep_ledger(profiles: Iterable[Profile]) -> int:
    """Keep decisions of erased customers without customer and evidence. Returns how many."""
    person = uuid.uuid4()
    rows = [
        KeptDecision(
            person=person,
            purpose_id=event.purpose_id,
            purpose_version=event.purpose_version,
            notice_id=event.notice_id,
            action=event.action,
            explicit=event.explicit,
            at=event.at,
            method=event.method,
        )
        for event in ConsentEvent.objects.filter(profile__in=list(profiles)).order_by("id")
    ]
    KeptDecision.objects.bulk_create(rows, batch_size=500)
    return len(rows)


def suppress(profiles: Iterable[Profile]) -> int:
    """Suppress the addresses of customers who objected to messages, for later imports. Returns how many."""
    profiles = list(profiles)
    asked = ConsentState.objects.filter(profile__in=profiles, purpose__kind="message", status__in=NO_CONTACT)
    wanted = set(asked.values_list("profile_id", flat=True))
    addresses = {str(each.document["email"]) for each in profiles if each.pk in wanted and each.document.get("email")}
    rows = [Suppression(hash=fingerprint(address)) for address in addresses]
    Suppression.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def suppressed(profiles: Iterable[Profile]) -> set[int]:
    """Return the ids of those profiles whose address is suppressed."""
    found = {
        fingerprint(spelling): each.pk
        for each in profiles
        if (email := str(each.document.get("email") or ""))
        for spelling in (email, readable_email(email))  # the latter: suppressed before addresses had one form
    }
    return {found[hash_] for hash_ in Suppression.objects.filter(hash__in=found).values_list("hash", flat=True)}


def refuse_identifiers(hashes: Iterable[str], at: dt.datetime) -> None:
    """Refuse fingerprints in events from now on, as of an erasure at this time. The retention ends it."""
    rows = [ErasedIdentifier(hash=each, at=at) for each in sorted(set(hashes))]
    ErasedIdentifier.objects.bulk_create(
        rows, batch_size=500, update_conflicts=True, unique_fields=["hash"], update_fields=["at"]
    )


def erased_among(names: Iterable[str]) -> set[str]:
    """Return those names that belonged to an erased customer and are still refused."""
    hashes = {name: fingerprint(name) for name in names}  # names that differ in case alone have one
    if not hashes:
        return set()
    found = set(ErasedIdentifier.objects.filter(hash__in=set(hashes.values())).values_list("hash", flat=True))
    return {name for name, each in hashes.items() if each in found}


def _in_file() -> list[Erasure]:
    path = Path(settings.HOME) / FILE
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        row = json.loads(line)
        times = {key: row[key] and dt.datetime.fromisoformat(row[key]) for key in ("at", "since", "until")}
        kept = {"who": row["who"], "identifiers": row.get("identifiers", [])}
        found.append(Erasure(id=uuid.UUID(row["id"]), mode=row["mode"], asked_by="restore", **kept, **times))
    return found


def _append(erasure: Erasure) -> None:
    row = {
        "id": str(erasure.pk),
        "at": erasure.at.isoformat(),
        "mode": erasure.mode,
        "who": erasure.who,
        "identifiers": erasure.identifiers,
        "since": erasure.since.isoformat() if erasure.since else None,
        "until": erasure.until.isoformat() if erasure.until else None,
    }
    descriptor = os.open(Path(settings.HOME) / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(descriptor)
