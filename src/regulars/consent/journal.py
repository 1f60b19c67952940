"""The journal: decisions, deletions and corrections, which a restored backup has to learn of before anything is served.

An entry is a row of the transaction that it tells of, and a line of `journal.jsonl` in the home folder of the machine
when that transaction is committed. Workers bring the entries of other machines into the file of theirs.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.utils.translation import gettext_noop

from regulars.base import clock
from regulars.base.crypto import decrypt, encrypt, key_id
from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.errors import Invalid, Unavailable
from regulars.profiles.models import Fact, Profile

from .erasures import fingerprint
from .journal_file import Fault, JournalLine, append, ids_in, read, remove, require_space
from .models import ConsentEvent, Erasure, JournalEntry, Notice, Suppression

log = logging.getLogger("regulars.consent")

FILE = "journal.jsonl"
RETENTION = "journal"  # the kind of data in `usecases.retention`
LATE = dt.timedelta(hours=1)
PORTION = 500
NOT_RECORDED = gettext_noop(
    "This was not recorded, because it cannot be secured against a loss of data now. Please try again later."
)
NOT_WRITTEN = gettext_noop("This was stored, but could not be secured against a loss of data. Try again later.")
Kind = JournalEntry.Kind
Action = ConsentEvent.Action
# A restore leaves these out: a yes counts for words, a version and facts that the backup does not have.
WITHOUT_END = (Kind.BEGUN, Kind.NOTICE)
VERSION, VERSION_OF_BODY = "v", 2  # in a body: its lines are sealed, so one without a seal was altered
# What the body of each kind has at least. A line of before there were seals proves its kind by it.
CONTENT: dict[str, frozenset[str]] = {
    Kind.BEGUN: frozenset(),
    Kind.NOTICE: frozenset({"hash", "purpose_id", "body"}),
    Kind.DECISION: frozenset({"hash", "purpose_id", "action", "at", "notice_id"}),
    Kind.RETRACTED: frozenset({"attribute", "source", "why"}),
    Kind.CORRECTED: frozenset({"attribute", "source", "source_kind", "value", "collected_at", "consents"}),
    Kind.SUPPRESSED: frozenset({"hash", "purposes", "advertising"}),
    Kind.RESTRICTED: frozenset({"since", "method", "actor", "reason"}),
    Kind.APP_REVOKED: frozenset({"client", "audience"}),
}
LEFT_OUT = frozenset({Action.GIVEN, Action.IMPORTED, Action.OBJECTION_LIFTED})
OF_THE_ROW = {"id", "profile", "prev_hash", "copy_of"}
NAMED = {"purpose", "notice"}  # relations to what has the same name in every database
OF_A_FACT = ("attribute", "value", "source_kind", "source", "asserter", "basis", "purpose", "confidence", "reason")
_is_unattended: ContextVar[bool] = ContextVar("unattended", default=False)
_written_notices: set[tuple[str, uuid.UUID]] = set()  # by this process: (file, id)


@dataclass
class JournalDraft:
    """What one transaction adds to the journal."""

    decisions: list[ConsentEvent] = field(default_factory=list)
    retracted: list[tuple[Fact, str]] = field(default_factory=list)
    written: list[Fact] = field(default_factory=list)
    others: list[JournalEntry] = field(default_factory=list)

    def copy(self) -> JournalDraft:
        return JournalDraft(list(self.decisions), list(self.retracted), list(self.written), list(self.others))

    def save(self) -> None:
        """Store the entries, and write them into the file of this machine once the transaction is committed."""
        if not (self.decisions or self.retracted or self.written or self.others):
            return
        save_entries(
            [
                *_decisions(self.decisions),
                *_deletions(self.retracted, self.written),
                *_corrections(self.written),
                *self.others,
            ]
        )


def new_entry(kind: Kind, profile_id: int, body: dict[str, Any]) -> JournalEntry:
    """Return an entry about one customer; a time in it becomes a text."""
    plain = {name: value.isoformat() if isinstance(value, dt.datetime) else value for name, value in body.items()}
    return JournalEntry(kind=kind, profile_id=profile_id, body=_encrypted(plain))


def save_entries(entries: Sequence[JournalEntry]) -> None:
    """Store entries with the people whom they concern, and write them into the file once the transaction is committed.

    Raises `Unavailable("journal_not_written")` where they could not be written: the whole act is refused then.
    """
    if entries:
        _require_space()
        _name_people(entries)
        # Notices are there already.
        JournalEntry.objects.bulk_create(entries, batch_size=PORTION, ignore_conflicts=True)
        transaction.on_commit(lambda: _append(entries))


@contextmanager
def unattended() -> Iterator[None]:
    """Say that no one reads that it is done: a line that cannot be written is left to `JournalCopier`, and the act holds."""
    token = _is_unattended.set(True)
    try:
        yield
    finally:
        _is_unattended.reset(token)


def journal_path() -> Path:
    """Return the journal of this machine. Each machine has one, in its home folder."""
    return Path(settings.HOME) / FILE


def ensure_begun() -> None:
    """Note since when this installation has a journal."""
    if not JournalEntry.objects.filter(kind=Kind.BEGUN).exists():
        earliest = JournalEntry.objects.aggregate(at=models.Min("at"))["at"]
        entry = JournalEntry.objects.create(kind=Kind.BEGUN, at=earliest or clock.now(), body=_encrypted({}))
        transaction.on_commit(lambda: _append([entry]))


def end_before(rows: models.QuerySet[Any], before: dt.datetime) -> int:
    """Delete entries, and note that the journal begins at `before` now. Returns how many were deleted."""
    begun = JournalEntry.objects.filter(kind=Kind.BEGUN)
    if not begun.filter(at__gte=before).exists():
        begun.delete()
        JournalEntry.objects.create(kind=Kind.BEGUN, at=before, body=_encrypted({}))
    return int(rows.delete()[0])


def record_suppressions(rows: Iterable[Suppression]) -> None:
    """Note what is closed for the holders of contacts. It names the contacts by fingerprint, and no profile."""
    entries = [
        JournalEntry(
            kind=Kind.SUPPRESSED,
            body=_encrypted(
                {"hash": row.hash, "purposes": row.purposes, "advertising": row.advertising, "times": row.times}
            ),
        )
        for row in rows
    ]
    save_entries(entries)


def _encrypted(body: dict[str, Any]) -> str:
    return encrypt({**body, VERSION: VERSION_OF_BODY})


def lines_of(entries: Iterable[JournalEntry]) -> list[JournalLine]:
    key = key_id(settings.SECRET_KEY)
    return [JournalLine(each.pk, each.kind, each.at, tuple(each.who), key, each.body) for each in entries]


def body_of(line: JournalLine) -> dict[str, Any]:
    """Raises `Invalid("wrong_key")`."""
    body = decrypt(line.body)
    return body if isinstance(body, dict) else {}


def readable(lines: Iterable[JournalLine], key: str) -> Iterator[JournalLine]:
    """Yield the entries. Raises `Invalid` for one under this key that cannot be repeated: leaving it out could open what it closed.

    `journal_unreadable`: what is in it is damaged, or a newer version wrote it. `journal_altered`: it is not what was written.
    """
    name = key_id(key)
    for line in lines:
        if line.key == name and (fault := fault_in(line, key)):
            what = {
                Fault.DAMAGED: "is damaged, or of a newer version",
                Fault.ALTERED: "was altered: it is another than was written",
            }[fault]
            raise Invalid(
                fault,
                f"The entry {line.id} of {FILE} of {line.at:%Y-%m-%d %H:%M} {what}, so what a customer withdrew or deleted "
                "might come back. Use the journal of another machine, or the newer version.",
            )
        yield line


def fault_in(line: JournalLine, key: str) -> Fault | None:
    """Return why an entry cannot be repeated; None: it can."""
    if line.kind not in Kind.values:
        return Fault.DAMAGED
    try:
        body = decrypt(line.body, key)
    except Invalid:
        return Fault.DAMAGED
    if not isinstance(body, dict):
        return Fault.DAMAGED
    seals = body.pop(VERSION, 1)
    if seals > VERSION_OF_BODY:
        return Fault.DAMAGED
    lost_its_seal = line.version == 1 and seals >= VERSION_OF_BODY
    is_of_its_kind = body.keys() >= CONTENT[line.kind] and (line.kind != Kind.BEGUN or not body)
    return None if is_of_its_kind and not lost_its_seal else Fault.ALTERED


@dataclass(frozen=True)
class JournalCheck:
    """How many entries the file of this machine has, how many of the database it lacks, and how many are not sealed."""

    number: int
    missing: int
    unsealed: int


def check_journal() -> JournalCheck:
    """Read the file as a restore would. Raises as `readable`."""
    versions = {line.id: line.version for line in readable(read(journal_path()), settings.SECRET_KEY)}
    missing = sum(pk not in versions for pk in JournalEntry.objects.values_list("id", flat=True).iterator())
    return JournalCheck(len(versions), missing, sum(version == 1 for version in versions.values()))


def keep_lines(lines: Iterable[JournalLine], key: str, *, alone: bool = False) -> None:
    """Append entries under a key that the file of this machine does not have, before a database that has them is replaced.

    `alone`: entries under other keys, which no restore of this installation can read, are removed.
    """
    if alone:
        name = key_id(key)
        remove(journal_path(), lambda line: line.key != name, key)
    known = ids_in(read(journal_path(), key, damaged=True))
    append(journal_path(), [each for each in {line.id: line for line in lines}.values() if each.id not in known], key)


class JournalCopier:
    """Brings what other machines wrote into the file of this one, and removes from it what has ended.

    A row that was committed without its line, because the machine stopped between the two, is brought in as well. Removed
    are the entries of erased customers, and those that the retention ended.
    """

    def __init__(self) -> None:
        self.ran_at: dt.datetime | None = None
        self.file: int | None = None  # its number on the disk: another one was put in its place, or it was taken away
        self.size = 0  # of it: what is behind was written since
        self.seen: set[uuid.UUID] = set()
        self.erasures: set[uuid.UUID] = set()
        self.begun: dt.datetime | None = None

    def run(self) -> None:
        """Look at the entries since the last call; at the first call, at all."""
        ensure_begun()
        if self.file != _file_of_now()[0]:
            self.ran_at, self.erasures, self.begun = None, set(), None
        started, (_, size) = clock.now(), _file_of_now()
        self._copy(started)
        before = _file_of_now()[0]
        self._remove()
        self.ran_at, (self.file, now) = started, _file_of_now()
        self.size = size if self.file == before else now

    def _copy(self, started: dt.datetime) -> None:
        entries = JournalEntry.objects.order_by().values_list("id", "at", "kind")
        if self.ran_at is None:
            known = ids_in(read(journal_path(), damaged=True))
        else:  # what was committed late has a time before it; a clock may have been ahead
            known = self.seen | ids_in(read(journal_path(), damaged=True, after=self.size))
            recent = entries.filter(at__gte=min(self.ran_at, started) - LATE)
            entries = recent.union(entries.filter(kind=Kind.BEGUN))  # each by its index
        self.seen, begun = set(), []
        rows = entries.order_by("at", "id").iterator(chunk_size=PORTION)
        while portion := list(islice(rows, PORTION)):
            missing = {pk: kind for pk, _, kind in portion if pk not in known}
            begun += [pk for pk, kind in missing.items() if kind == Kind.BEGUN]
            _copy_rows(set(missing) - set(begun))
            self.seen |= {pk for pk, at, kind in portion if at >= started - LATE or kind == Kind.BEGUN}
        _copy_rows(begun)  # since when the journal is complete is written last, when it is

    def _remove(self) -> None:
        recent = Erasure.objects.all()
        if self.ran_at is not None:
            recent = recent.filter(at__gte=min(self.ran_at, clock.now()) - LATE)
        erasures = [each for each in recent if each.pk not in self.erasures]
        begun = JournalEntry.objects.filter(kind=Kind.BEGUN).aggregate(at=models.Max("at"))["at"]
        if erasures or begun != self.begun:
            remove(journal_path(), Ended(erasures, begun))
            self.erasures |= {each.pk for each in erasures}
            self.begun = begun


def _file_of_now() -> tuple[int | None, int]:
    """Return the number of the file on the disk, and its size."""
    found = journal_path().stat() if journal_path().exists() else None
    return (found.st_ino, found.st_size) if found else (None, 0)


def _copy_rows(ids: Collection[uuid.UUID]) -> None:
    append(journal_path(), lines_of(JournalEntry.objects.filter(pk__in=ids).order_by("at") if ids else ()))


class Ended:
    """Tells which entries have ended: those of erased customers, and those before the journal's beginning."""

    def __init__(self, erasures: Iterable[Erasure], begun: dt.datetime | None = None) -> None:
        self.begun = begun
        self.by_name: dict[str, list[Erasure]] = {}
        for erasure in erasures:
            for name in erasure.who:
                self.by_name.setdefault(name, []).append(erasure)

    def __call__(self, line: JournalLine) -> bool:
        if self.begun is not None and line.at < self.begun and line.kind != Kind.NOTICE:
            return True
        return any(_ends(each, line) for name in line.who for each in self.by_name.get(name, ()))


def _ends(erasure: Erasure, line: JournalLine) -> bool:
    """Return whether the customer was erased after the entry, or a period that the value of the entry is of."""
    if erasure.at < line.at:
        return False
    if erasure.mode != Erasure.Mode.PERIOD:
        return True
    if line.kind != Kind.CORRECTED or erasure.since is None or erasure.until is None:
        return False
    return erasure.since <= line.at < erasure.until


def _require_space() -> None:
    if _is_unattended.get():
        return
    try:
        require_space(journal_path())
    except OSError as error:
        log.exception("journal_not_written: an act is refused, because %s cannot be written", journal_path())
        raise Unavailable("journal_not_written", NOT_RECORDED) from error


def _append(entries: Sequence[JournalEntry]) -> None:
    """Write entries that are committed into the file. Raises `Unavailable("journal_not_written")`.

    The disk became full, or failed, in the moment since `_require_space`. The act holds then, and is not acknowledged:
    the worker brings the entries into the file once it can.
    """
    path = journal_path()
    try:
        append(path, lines_of(entries))
    except OSError as error:
        log.exception("journal_not_written: %d entries are not in %s", len(entries), path)
        if _is_unattended.get():
            return
        raise Unavailable("journal_not_written", NOT_WRITTEN) from error
    _written_notices.update((str(path), each.pk) for each in entries if each.kind == Kind.NOTICE)


def _decisions(events: Iterable[ConsentEvent]) -> list[JournalEntry]:
    events = list(events)
    path = str(journal_path())
    notices = {uuid.uuid5(uuid.NAMESPACE_OID, each.notice.hash): each.notice for each in events if each.notice}
    return [
        *(
            JournalEntry(id=key, kind=Kind.NOTICE, body=_encrypted(_columns(notice)))
            for key, notice in notices.items()
            if (path, key) not in _written_notices
        ),
        *(new_entry(Kind.DECISION, event.profile_id, _columns(event)) for event in events),
    ]


def _deletions(retracted: Iterable[tuple[Fact, str]], written: Iterable[Fact]) -> list[JournalEntry]:
    """Return an entry for each fact that was removed; one that got another value by the same act was not."""
    written = list(written)
    replaced = {(each.profile_id, each.attribute) for each in written if each.value is not None and not _is_own(each)}
    gone = [(each, why) for each, why in retracted if (each.profile_id, each.attribute) not in replaced]
    gone += [(each, "") for each in written if each.value is None and not each.derived_from and not _is_own(each)]
    return [
        new_entry(Kind.RETRACTED, fact.profile_id, {"attribute": fact.attribute, "source": fact.source, "why": why})
        for fact, why in gone
    ]


def _corrections(written: Iterable[Fact]) -> list[JournalEntry]:
    own = [each for each in written if _is_own(each) and not each.derived_from]
    named = {pk for each in own for pk in each.consents}
    hashes = dict(ConsentEvent.objects.filter(pk__in=named).values_list("pk", "hash")) if named else {}
    return [
        new_entry(
            Kind.CORRECTED,
            fact.profile_id,
            {
                **{name: getattr(fact, name) for name in (*OF_A_FACT, "collected_at", "expires_at")},
                "consents": [hashes.get(pk, "") for pk in fact.consents],
            },
        )
        for fact in own
    ]


def _is_own(fact: Fact) -> bool:
    return fact.source_kind == Fact.SourceKind.CORRECTED


def _columns(row: ConsentEvent | Notice) -> dict[str, Any]:
    """Return the columns of a row, except those that say where it is in this database."""
    fields = [
        each
        for each in row._meta.concrete_fields
        if each.name not in OF_THE_ROW and (not each.is_relation or each.name in NAMED)
    ]
    return {each.attname: getattr(row, each.attname) for each in fields}


_one_and_merged = CompiledQuery(
    lambda: Profile.objects.filter(models.Q(pk=param("id")) | models.Q(merged_into=param("id"))).values_list(
        "pk", "merged_into_id", "user_id"
    )
)


def _name_people(entries: Sequence[JournalEntry]) -> None:
    """Write on each entry whom it concerns: what is decided for a profile holds for those that are merged into it."""
    ids = {each.profile_id for each in entries if each.profile_id is not None}
    if not ids:
        return
    people: dict[int, set[str]] = {}
    if len(ids) == 1:
        found = list(_one_and_merged.all(id=min(ids)))
    else:
        them = Profile.objects.filter(models.Q(pk__in=ids) | models.Q(merged_into__in=ids))
        found = list(them.values_list("pk", "merged_into_id", "user_id"))
    for pk, merged_into, user_id in found:
        for each in (pk, merged_into):
            if each is not None:
                people.setdefault(each, set()).add(fingerprint(user_id))
    for entry in entries:
        if entry.profile_id is not None:
            entry.who = sorted(people.get(entry.profile_id, ()))
