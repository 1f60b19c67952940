"""The file of the journal on one machine: one entry a line, numbered, sealed, and chained to the line before it.

An entry is on the disk when `append` returns. A line that was cut off at the end is no entry: its act was not acknowledged,
and the database still has it. Lines that were removed leave the range of their numbers, and the digest of the last of them.

Each line is `{"v", "n", "id", "kind", "at", "who", "key", "body", "prev", "seal"}`. The seal is of all the rest under the key
of the installation, `prev` is a digest of the line before: a line that was changed, taken out, put in or moved is noticed.
What was cut off at the end only the database knows. Lines of earlier versions have neither `v` nor `prev` nor `seal`.
"""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings

from regulars.base.crypto import is_sealed, key_id, seal
from regulars.base.errors import Conflict, Invalid

VERSION = 2
REMOVED = "removed"
TAIL = 64 * 1024
SPACE = 1024 * 1024  # bytes: more than one act adds


@dataclass(frozen=True)
class JournalLine:
    """One entry. `who` are fingerprints of user ids, `body` is encrypted with the key that `key` names (`key_id`).

    `version` is that of its line in a file. 1: only what is encrypted was authenticated. 0: it is of the database.
    """

    id: uuid.UUID
    kind: str
    at: dt.datetime
    who: tuple[str, ...]
    key: str
    body: str
    version: int = field(default=0, compare=False)


class Fault(StrEnum):
    DAMAGED = "journal_unreadable"
    ALTERED = "journal_altered"


@dataclass(frozen=True)
class _Read:
    """One line as it is written, what is in it (None: nothing to be understood), and its entry (None: it has none)."""

    text: bytes
    row: dict[str, Any] | None
    line: JournalLine | None
    fault: Fault | None


def append(path: Path, lines: Sequence[JournalLine], key: str = "") -> None:
    """Append entries, sealed with the installation's key unless another is given, and wait until they are on the disk."""
    if not lines:
        return
    with _locked(path) as file:
        number, before = _end_of(file)
        for more, line in enumerate(lines, 1):
            text = _written(line, number + more, before, key)
            file.write(text)
            before = _digest(text)
        file.flush()
        os.fsync(file.fileno())
        if number == 0:
            _sync_folder(path)


def require_space(path: Path) -> None:
    """Raise `OSError` where a line could not be appended: no file can be opened there, or the disk is full."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    disk = os.statvfs(path.parent)
    if disk.f_bavail * disk.f_frsize < SPACE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def read(path: Path, key: str = "", *, damaged: bool = False, after: int = 0) -> Iterator[JournalLine]:
    """Yield the entries; none when there is no file. Seals are checked of the lines under this key, else the installation's.

    `damaged`: leave out what cannot be read or was altered. `after`: begin behind so many bytes, in the middle of the
    numbers, and so only with `damaged`.

    Raises `Invalid`: `journal_unreadable` (a line is no entry, or lines are missing), `journal_altered` (a line is another
    than was written, or in another place).
    """
    for place, each in enumerate(_rows(path, after, key or settings.SECRET_KEY), 1):
        if each.fault and not damaged:
            fault = {
                Fault.DAMAGED: "is no entry of the journal, or lines before it are missing",
                Fault.ALTERED: "was altered, moved or put in, or a line before it was",
            }[each.fault]
            raise Invalid(
                each.fault,
                f"Line {place} of {path} {fault}, so what a customer withdrew or deleted might come back. Use the journal of "
                "another machine. While the database is whole, move the file away: the worker writes it anew.",
            )
        if each.line is not None:
            yield each.line


def remove(path: Path, unwanted: Callable[[JournalLine], bool], key: str = "") -> int:
    """Write the file anew without some entries. Returns how many. What cannot be read stays as it is.

    Those who append wait only while the lines are copied that were appended meanwhile: a file of years takes seconds.
    Raises `Conflict("journal_replaced")`.
    """
    if not any(each.line is not None and unwanted(each.line) for each in _rows(path)):
        return 0
    draft = path.with_name(path.name + ".new")
    with _locked(draft) as target, path.open("rb") as source:  # of two removals one waits for the other
        target.truncate(0)
        copy = _Copy(target, unwanted, key)
        reader = _Reader(source)
        copy.add(reader)
        copy.sync()
        with _locked(path) as file:
            if os.fstat(file.fileno()).st_ino != os.fstat(source.fileno()).st_ino:
                draft.unlink()
                raise Conflict("journal_replaced", f"{path} was taken away while it was written anew. Try again.")
            _end_of(file)
            copy.add(reader)
            copy.finish()
            draft.replace(path)  # who waits for the lock finds another file under the name, and opens that
            _sync_folder(path)
    return copy.removed


@dataclass
class _Gap:
    """Numbers of removed lines, with the digests of the line before them and of the last of them."""

    first: int
    last: int
    before: str
    digest: str


class _Copy:
    """Writes lines into another file, without the unwanted ones, of which ranges of numbers are left."""

    def __init__(self, target: BinaryIO, unwanted: Callable[[JournalLine], bool], key: str) -> None:
        self.target, self.unwanted, self.key = target, unwanted, key
        self.gap: _Gap | None = None
        self.before = ""  # the digest of the line that was read before
        self.removed = 0

    def add(self, reader: _Reader) -> None:
        for each in reader.rows():
            leaves = each.line is not None and self.unwanted(each.line)
            before, self.before = self.before, _digest(each.text, each.row)
            if each.row is not None and (leaves or each.row["kind"] == REMOVED):
                first, last = _numbers(each.row)
                self.gap = self.gap or _Gap(first, last, before, self.before)
                self.gap.last, self.gap.digest = last, self.before
                self.removed += leaves
                continue
            self._close_gap()
            self.target.write(each.text)

    def finish(self) -> None:
        self._close_gap()
        self.sync()

    def _close_gap(self) -> None:
        if self.gap:
            row = {"n": (self.gap.first, self.gap.last), "kind": REMOVED, "last": self.gap.digest}
            self.target.write(_sealed(row, self.gap.before, self.key))
        self.gap = None

    def sync(self) -> None:
        self.target.flush()
        os.fsync(self.target.fileno())


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open the file for this writer alone."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
                yield file
                return


def _sync_folder(path: Path) -> None:
    """Bring the name of a file to the disk: a new one could be gone after a power failure."""
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end_of(file: BinaryIO) -> tuple[int, str]:
    """Go to the end of the last whole line, and cut off what is behind it. Returns its number and digest; (0, ""): there is none."""
    size, length = file.seek(0, os.SEEK_END), TAIL
    while True:
        file.seek(max(size - length, 0))
        whole, newline, half = file.read().rpartition(b"\n")
        if b"\n" in whole or length >= size:
            break
        length *= 2
    if half:
        file.truncate(size - len(half))
    file.seek(0, os.SEEK_END)
    text = whole.rpartition(b"\n")[2] + newline
    row = _row(text) if newline else None
    return (_numbers(row)[1], _digest(text, row)) if row else (0, "")


def _rows(path: Path, after: int = 0, key: str = "") -> Iterator[_Read]:
    """Yield the lines of a file after some bytes; nothing when there is none."""
    if path.exists():
        with path.open("rb") as file:
            reader = _Reader(file, key)
            reader.place = after
            yield from reader.rows()


class _Reader:
    """Reads the lines of a file, and goes on later with those that were appended. Without a key no seal is checked."""

    def __init__(self, file: BinaryIO, key: str = "") -> None:
        self.file, self.key = file, key
        self.name = key_id(key) if key else ""
        self.place = 0
        self.expected = 1
        self.before: str | None = ""  # the digest of the line before; None: it is not known

    def rows(self) -> Iterator[_Read]:
        self.file.seek(self.place)
        for text in self.file:
            if not text.endswith(b"\n"):
                return  # cut off
            self.place += len(text)
            yield self._read(text)

    def _read(self, text: bytes) -> _Read:
        row = _row(text)
        before, self.before = self.before, _digest(text, row) if row else None
        if row is None:
            self.expected += 1
            return _Read(text, None, None, Fault.DAMAGED)
        expected, (first, last) = self.expected, _numbers(row)
        self.expected = last + 1
        try:
            line = None if row["kind"] == REMOVED else _line(row)
        except (ValueError, KeyError, TypeError, AttributeError):
            return _Read(text, None, None, Fault.DAMAGED)
        if first != expected:
            return _Read(text, None, line if self._is_authentic(row) else None, Fault.DAMAGED)
        if not self._is_authentic(row):
            return _Read(text, row, None, Fault.ALTERED)
        is_in_place = before is None or "v" not in row or row["prev"] == before
        return _Read(text, row, line, None if is_in_place or not self.key else Fault.ALTERED)

    def _is_authentic(self, row: dict[str, Any]) -> bool:
        if not self.key or "v" not in row or row["key"] != self.name:
            return True
        return is_sealed(_without_seal(row), row["seal"], self.key)


def _row(text: bytes) -> dict[str, Any] | None:
    try:
        row: dict[str, Any] = json.loads(text)
        first, last = _numbers(row)
        if not (0 < first <= last and isinstance(row["kind"], str)):
            return None
        if "v" in row:
            texts = [row[name] for name in ("key", "prev", "seal", *(["last"] if row["kind"] == REMOVED else []))]
            return row if row["v"] == VERSION and all(isinstance(each, str) for each in texts) else None
        return row
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _numbers(row: dict[str, Any]) -> tuple[int, int]:
    number = row["n"]
    first, last = number if isinstance(number, list) else (number, number)
    return int(first), int(last)


def _line(row: dict[str, Any]) -> JournalLine:
    at = dt.datetime.fromisoformat(row["at"])
    texts = (*row["who"], row["key"], row["body"])
    if at.tzinfo is None or not all(isinstance(each, str) for each in texts):
        raise ValueError("a time without a zone, or something else than a text")
    names = uuid.UUID(row["id"]), row["kind"], at, tuple(row["who"])
    return JournalLine(*names, row["key"], row["body"], version=row.get("v", 1))


def _written(line: JournalLine, number: int, before: str, key: str) -> bytes:
    row = {
        "n": number,
        "id": str(line.id),
        "kind": line.kind,
        "at": line.at.isoformat(),
        "who": line.who,
        "body": line.body,
    }
    return _sealed(row, before, key)


def _sealed(row: dict[str, Any], before: str, key: str) -> bytes:
    key = key or settings.SECRET_KEY
    whole = {"v": VERSION, **row, "key": key_id(key), "prev": before}
    return json.dumps({**whole, "seal": seal(_without_seal(whole), key)}).encode() + b"\n"


def _without_seal(row: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in row.items() if name != "seal"}, sort_keys=True)


def _digest(text: bytes, row: dict[str, Any] | None = None) -> str:
    """Return what the next line calls this one; in place of removed lines, the last of them."""
    if row and row["kind"] == REMOVED and "v" in row:
        return str(row["last"])
    return sha256(text).hexdigest()[:32]


def ids_in(lines: Iterable[JournalLine]) -> set[uuid.UUID]:
    return {line.id for line in lines}
