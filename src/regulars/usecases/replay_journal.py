"""Repeat what was decided, deleted and corrected since a backup, after it was restored and before anything is served."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from django.db import models
from django.db.models import QuerySet

from regulars.base.json_values import same_json
from regulars.consent.erasures import fingerprint, recorded_erasures
from regulars.consent.journal import LEFT_OUT, Ended, body_of
from regulars.consent.journal_file import JournalLine
from regulars.consent.models import ConsentEvent, JournalEntry, Notice, Purpose
from regulars.consent.suppressions import suppress_hashes
from regulars.oauth.consents import end_consents
from regulars.oauth.models import AppGrant
from regulars.profiles.assertions import Asserter
from regulars.profiles.find import of_profile
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Fact, Profile

from .restrict import restrict_again
from .unit_of_work import Changes, changes

PORTION = 50
Kind = JournalEntry.Kind
ORDER = {Kind.DECISION.value: 0, Kind.RETRACTED.value: 1, Kind.CORRECTED.value: 2}  # of one instant, as in one act
WHY = "restore"
Body = dict[str, Any]
M = TypeVar("M", bound=models.Model)


@dataclass(frozen=True)
class Repetition:
    """How many entries a restore repeated, and how many that open something it left out."""

    repeated: int = 0
    left_out: int = 0

    def __add__(self, other: Repetition) -> Repetition:
        return Repetition(self.repeated + other.repeated, self.left_out + other.left_out)


def replay_journal(lines: Iterable[JournalLine]) -> Repetition:
    """Repeat the entries that this database does not have; erasures were repeated before.

    A no, a deletion and a correction are written as they were. A yes, and the end of an objection, are left out: the
    customer is asked again. Entries of customers whom the backup does not have are left out.

    Raises `Invalid("wrong_key")`.
    """
    done = set(JournalEntry.objects.values_list("id", flat=True).iterator())
    has_ended = Ended(recorded_erasures())
    missing = {line.id: line for line in lines if line.id not in done and not has_ended(line)}
    due = sorted(missing.values(), key=lambda line: (line.at, ORDER.get(line.kind, 0)))
    notices = _restore_notices([line for line in due if line.kind == Kind.NOTICE])
    suppressed = _suppress_again([line for line in due if line.kind == Kind.SUPPRESSED])
    names = {name for line in due for name in line.who}
    if not names:
        return suppressed
    ids = {
        hash_: pk
        for pk, user_id in Profile.objects.values_list("id", "user_id").iterator()
        if (hash_ := fingerprint(user_id)) in names
    }
    return sum((_repeat(each, notices) for each in _portions(due, ids)), suppressed)


def _restore_notices(lines: Sequence[JournalLine]) -> set[str]:
    """Store the words that the backup does not have. Returns the hashes of all that there are."""
    purposes = set(Purpose.objects.values_list("key", flat=True))
    notices = [_row_of(Notice, body) for body in map(body_of, lines) if body["purpose_id"] in purposes]
    Notice.objects.bulk_create(notices, ignore_conflicts=True)
    _save_entries(lines)
    return set(Notice.objects.values_list("hash", flat=True))


def _suppress_again(lines: Sequence[JournalLine]) -> Repetition:
    for line in lines:
        body = body_of(line)
        times = {key: dt.datetime.fromisoformat(at) for key, at in body.get("times", {}).items()}
        closed = [*body["purposes"], *([""] if body["advertising"] else [])]
        suppress_hashes([body["hash"]], {key: times.get(key, line.at) for key in closed})
    _save_entries(lines)
    return Repetition(repeated=len(lines))


def _save_entries(lines: Sequence[JournalLine]) -> None:
    entries = [JournalEntry(id=line.id, kind=line.kind, at=line.at, body=line.body) for line in lines]
    JournalEntry.objects.bulk_create(entries, batch_size=500, ignore_conflicts=True)


def _portions(due: Iterable[JournalLine], ids: dict[str, int]) -> Iterator[dict[int, list[JournalLine]]]:
    """Yield profile → its entries, a few profiles at a time."""
    by_profile: dict[int, list[JournalLine]] = {}
    for line in due:
        for pk in {ids[name] for name in line.who if name in ids}:
            by_profile.setdefault(pk, []).append(line)
    found = iter(sorted(by_profile.items()))
    while portion := dict(islice(found, PORTION)):
        yield portion


def _repeat(portion: dict[int, list[JournalLine]], notices: set[str]) -> Repetition:
    with changes(list(portion), WHY) as c:
        c.repeats_journal()
        entries = [(c.find(pk), line, body_of(line)) for pk, lines in portion.items() if c.locked(pk) for line in lines]
        decided = [(profile, body) for profile, line, body in entries if line.kind == Kind.DECISION]
        closing = [(profile, body) for profile, body in decided if body["action"] not in LEFT_OUT]
        c.repeat_all(_decisions(closing, notices))
        for profile, line, body in entries:
            if line.kind == Kind.RETRACTED:
                facts = profile.facts.filter(attribute=body["attribute"], source=body["source"])
                _retract(c, profile, facts, line.at, body["why"])
            elif line.kind == Kind.CORRECTED:
                _correct(c, profile, body)
            elif line.kind == Kind.RESTRICTED:
                restrict_again(c, profile, body, line.at)
            elif line.kind == Kind.APP_REVOKED:
                given = AppGrant.objects.filter(of_profile(profile.pk), given_at__lte=line.at)
                end_consents(given.filter(client=body["client"], audience=body["audience"]))
        rows = [
            JournalEntry(id=line.id, kind=line.kind, at=line.at, profile=profile, who=list(line.who), body=line.body)
            for profile, line, _ in entries
        ]
        JournalEntry.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    left_out = len(decided) - len(closing)
    return Repetition(len(entries) - left_out, left_out)


def _decisions(found: Sequence[tuple[Profile, Body]], notices: set[str]) -> list[ConsentEvent]:
    """Return the decisions as they were made. What the backup has no purpose for is closed without them."""
    purposes = {each.key: each for each in Purpose.objects.all()}
    events = []
    for profile, body in found:
        if purpose := purposes.get(body["purpose_id"]):
            event = _row_of(ConsentEvent, body)
            event.profile, event.purpose = profile, purpose
            if event.notice_id not in notices:
                event.notice_id = None
            events.append(event)
    return events


def _retract(c: Changes, profile: Profile, facts: QuerySet[Fact], until: dt.datetime, why: str) -> None:
    c.retract(list(facts.filter(retracted_at=None, collected_at__lte=until)), why or WHY, of=profile)


def _correct(c: Changes, profile: Profile, body: Body) -> None:
    """Write a correction once more. One that cannot be written takes what it corrected along."""
    at = dt.datetime.fromisoformat(body["collected_at"])
    facts = profile.facts.filter(attribute=body["attribute"])
    if facts.filter(source=body["source"], collected_at=at).exists():
        return
    consents = dict(profile.consent_events.filter(hash__in=body["consents"]).values_list("hash", "pk"))
    if len(consents) == len(set(body["consents"])):
        new = NewFact(
            body["attribute"],
            body["value"],
            body["source_kind"],
            body["source"],
            basis=body["basis"],
            purpose=body.get("purpose", ""),  # earlier entries have none
            consents=sorted(consents.values()),
            confidence=body["confidence"],
            collected_at=at,
            expires_at=dt.datetime.fromisoformat(body["expires_at"]) if body["expires_at"] else None,
            reason=body["reason"],
            asserter=Asserter(body["asserter"]) if body["asserter"] else None,
        )
        if c.learn([new], of=profile) or any(
            same_json(each.value, new.value) for each in facts.filter(source=new.source)
        ):
            return
    _retract(c, profile, facts, at, WHY)


def _row_of(model: type[M], body: Body) -> M:
    """Return a row with the columns of an entry; a column that this version does not know is left out."""
    fields = {each.attname: each for each in model._meta.concrete_fields}
    return model(**{name: fields[name].to_python(value) for name, value in body.items() if name in fields})
