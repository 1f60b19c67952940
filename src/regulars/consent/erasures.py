"""The list of erasures, by fingerprints: it cleans a restored backup, and refuses erased addresses and ids.

A name of a customer is a user id, `external|<id>`, `anonymous|<id>`, `<provider>|<id>` or `email|<address>`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hmac
import json
import os
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from regulars.base.crypto import key_id
from regulars.base.errors import Invalid
from regulars.profiles.models import Profile

from .models import ConsentEvent, ErasedIdentifier, Erasure, KeptDecision

FILE = "erasures.jsonl"
LATE = dt.timedelta(hours=1)
PORTION = 500
TIMES = ("at", "since", "until")


@dataclass(frozen=True)
class ListedErasure:
    """An erasure, and the key under which its fingerprints were made, as `key_id` names it.

    Lists of older versions name no key (""): theirs was the only key of the installation.
    """

    erasure: Erasure
    key: str


def fingerprint(name: str) -> str:
    """Return an HMAC-SHA-256 under the server's secret key, so that names cannot be tried without the key."""
    key = f"regulars.erasures:{settings.SECRET_KEY}".encode()
    return hmac.new(key, name.strip().lower().encode(), "sha256").hexdigest()


def record_erasure(erasure: Erasure) -> None:
    """Save an erasure, and append it to a file that no restored backup replaces once the transaction is committed."""
    erasure.save()
    transaction.on_commit(lambda: _append(in_database([erasure])))


def recorded_erasures() -> list[Erasure]:
    """Return every erasure in the file or the database, oldest first. Raises `Invalid("erasures_unreadable")`."""
    known = {each.erasure.pk: each.erasure for each in in_file(list_path())}
    known |= {each.pk: each for each in Erasure.objects.all()}
    return sorted(known.values(), key=lambda each: each.at)


def list_path() -> Path:
    """Return the list of this machine. Each machine has one, in its home folder."""
    return Path(settings.HOME) / FILE


def in_database(erasures: Iterable[Erasure]) -> list[ListedErasure]:
    key = key_id(settings.SECRET_KEY)
    return [ListedErasure(each, key) for each in erasures]


def in_file(path: Path) -> list[ListedErasure]:
    """Return the erasures of a list; none when there is no file. Raises `Invalid("erasures_unreadable")`."""
    found = []
    for number, line in enumerate(_lines_of(path), 1):
        if not line.strip():
            continue
        try:
            found.append(_listed(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Invalid(
                "erasures_unreadable",
                f"Line {number} of {path} is no entry of an erasure, so an erased customer might come back. Complete it "
                "from the list of another machine, or take it out if you know whom it named.",
            ) from None
    return found


def keep_listed(erasures: Iterable[ListedErasure]) -> None:
    """Append the erasures that this machine's list does not have, before a database that has them is replaced."""
    known = _known_ids()
    _append([each for each in erasures if str(each.erasure.pk) not in known])


class ListCopier:
    """Brings what other machines erased into this machine's list, so that any one list has every erasure."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.latest: dt.datetime | None = None

    def run(self) -> None:
        """Look at the erasures since the last call; at the first call, at all."""
        erasures = Erasure.objects.all()
        if self.latest is not None:
            erasures = erasures.filter(at__gte=self.latest - LATE)  # what was committed late has a time before it
        found = {str(pk): at for pk, at in erasures.values_list("id", "at").iterator()}
        missing = sorted(set(found) - self.seen - (_known_ids() if set(found) - self.seen else set()))
        for first in range(0, len(missing), PORTION):
            _append(in_database(Erasure.objects.filter(pk__in=missing[first : first + PORTION])))
        self.seen = set(found) if self.latest is None else self.seen | set(found)
        self.latest = max(found.values(), default=self.latest)


def keep_ledger(people: Iterable[Iterable[Profile]]) -> int:
    """Keep decisions of erased persons, by their profiles, without person and evidence. Returns how many."""
    person_of = {profile.pk: person for profiles in people for person in [uuid.uuid4()] for profile in profiles}
    rows = [
        KeptDecision(
            person=person_of[event.profile_id],
            purpose_id=event.purpose_id,
            purpose_version=event.purpose_version,
            notice_id=event.notice_id,
            action=event.action,
            explicit=event.explicit,
            at=event.at,
            method=event.method,
        )
        for event in ConsentEvent.objects.filter(profile__in=list(person_of)).order_by("id")
    ]
    KeptDecision.objects.bulk_create(rows, batch_size=500)
    return len(rows)


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


def _listed(row: dict[str, Any]) -> ListedErasure:
    times = {name: row[name] and dt.datetime.fromisoformat(row[name]) for name in TIMES}
    kept = {"who": list(row["who"]), "identifiers": list(row.get("identifiers", []))}
    erasure = Erasure(id=uuid.UUID(row["id"]), mode=Erasure.Mode(row["mode"]), asked_by="restore", **kept, **times)
    needed = TIMES if erasure.mode == Erasure.Mode.PERIOD else TIMES[:1]
    if not all((time := times[name]) and time.tzinfo for name in needed):
        raise ValueError("a time is missing, or has no zone")
    if not all(isinstance(each, str) for each in (*erasure.who, *erasure.identifiers)):
        raise ValueError("a fingerprint is a text")
    return ListedErasure(erasure, str(row.get("key", "")))


def _lines_of(path: Path) -> list[str]:
    """Return the lines of a list; what is no text in it makes a line that cannot be read."""
    return path.read_text(errors="replace").splitlines() if path.exists() else []


def _row(listed: ListedErasure) -> dict[str, Any]:
    erasure = listed.erasure
    times = {name: value.isoformat() if (value := getattr(erasure, name)) else None for name in TIMES}
    return {
        "id": str(erasure.pk),
        "mode": erasure.mode,
        "who": erasure.who,
        "identifiers": erasure.identifiers,
        "key": listed.key,
        **times,
    }


def _append(erasures: Sequence[ListedErasure]) -> None:
    if not erasures:
        return
    descriptor = os.open(list_path(), os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        lines = "".join(json.dumps(_row(each)) + "\n" for each in erasures)
        if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) and file.read(1) != b"\n":
            lines = "\n" + lines  # a write was cut off: the next entry has a line of its own
        file.write(lines.encode())
        file.flush()
        os.fsync(descriptor)


def _known_ids() -> set[str]:
    """Return the ids in this machine's list. A line that cannot be read is for `in_file` to name, at a restore."""
    known = set()
    for line in _lines_of(list_path()):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            known.add(str(json.loads(line)["id"]))
    return known
