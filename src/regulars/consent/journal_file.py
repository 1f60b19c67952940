"""The file of the journal on one machine: one entry a line, numbered, so that a line that is missing is noticed.

An entry is on the disk when `append` returns. A line that was cut off at the end is no entry: its act was not acknowledged,
and the database still has it. Lines that were removed leave the range of their numbers.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from regulars.base.errors import Conflict, Invalid

REMOVED = "removed"
TAIL = 64 * 1024


@dataclass(frozen=True)
class JournalLine:
    """One entry. `who` are fingerprints of user ids, `body` is encrypted with the key that `key` names (`key_id`)."""

    id: uuid.UUID
    kind: str
    at: dt.datetime
    who: tuple[str, ...]
    key: str
    body: str


def append(path: Path, lines: Sequence[JournalLine]) -> None:
    """Append entries and wait until they are on the disk."""
    if not lines:
        return
    with _locked(path) as file:
        number = _end_of(file)
        text = "".join(_written(line, number + more) for more, line in enumerate(lines, 1))
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
        if number == 0:
            _sync_folder(path)


def read(path: Path, *, damaged: bool = False, after: int = 0) -> Iterator[JournalLine]:
    """Yield the entries; none when there is no file. `damaged`: leave out what cannot be read. `after`: begin behind so
    many bytes, in the middle of the numbers, and so only with `damaged`.

    Raises `Invalid("journal_unreadable")` for a line that is no entry, and where lines are missing.
    """
    for place, (_, row, line) in enumerate(_rows(path, after), 1):
        if row is None and not damaged:
            raise Invalid(
                "journal_unreadable",
                f"Line {place} of {path} is no entry of the journal, or lines before it are missing, so what a customer "
                "withdrew or deleted might come back. Use the journal of another machine. While the database is whole, "
                "move the file away: the worker writes it anew.",
            )
        if line is not None:
            yield line


def remove(path: Path, unwanted: Callable[[JournalLine], bool]) -> int:
    """Write the file anew without some entries. Returns how many. What cannot be read stays as it is.

    Those who append wait only while the lines are copied that were appended meanwhile: a file of years takes seconds.
    Raises `Conflict("journal_replaced")`.
    """
    if not any(line is not None and unwanted(line) for _, _, line in _rows(path)):
        return 0
    draft = path.with_name(path.name + ".new")
    with _locked(draft) as target, path.open("rb") as source:  # of two removals one waits for the other
        target.truncate(0)
        copy = _Copy(target, unwanted)
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


class _Copy:
    """Writes lines into another file, without the unwanted ones, of which ranges of numbers are left."""

    def __init__(self, target: BinaryIO, unwanted: Callable[[JournalLine], bool]) -> None:
        self.target, self.unwanted = target, unwanted
        self.gap: tuple[int, int] | None = None
        self.removed = 0

    def add(self, reader: _Reader) -> None:
        for text, row, line in reader.rows():
            leaves = line is not None and self.unwanted(line)
            if row is not None and (leaves or row["kind"] == REMOVED):
                first, last = _numbers(row)
                self.gap = (self.gap[0] if self.gap else first, last)
                self.removed += leaves
                continue
            self.target.write(_gap(self.gap) + text)
            self.gap = None

    def finish(self) -> None:
        self.target.write(_gap(self.gap))
        self.sync()

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


def _end_of(file: BinaryIO) -> int:
    """Go to the end of the last whole line, and cut off what is behind it. Returns its number; 0: there is none."""
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
    row = _row(whole.rpartition(b"\n")[2]) if newline else None
    return _numbers(row)[1] if row else 0


def _rows(path: Path, after: int = 0) -> Iterator[tuple[bytes, dict[str, Any] | None, JournalLine | None]]:
    """Yield what `_Reader.rows` yields of a file after some bytes; nothing when there is none."""
    if path.exists():
        with path.open("rb") as file:
            reader = _Reader(file)
            reader.place = after
            yield from reader.rows()


class _Reader:
    """Reads the lines of a file, and goes on later with those that were appended."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.place = 0
        self.expected = 1

    def rows(self) -> Iterator[tuple[bytes, dict[str, Any] | None, JournalLine | None]]:
        """Yield each line as it is written, what is in it (None: damaged), and its entry (None: it has none)."""
        self.file.seek(self.place)
        for text in self.file:
            if not text.endswith(b"\n"):
                return  # cut off
            self.place += len(text)
            row = _row(text)
            line = None
            if row is not None:
                first, last = _numbers(row)
                try:
                    line = None if row["kind"] == REMOVED else _line(row)
                except (ValueError, KeyError, TypeError, AttributeError):
                    row = None
                if first != self.expected:
                    row = None
                self.expected = last + 1
            else:
                self.expected += 1
            yield text, row, line


def _row(text: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(text)
        first, last = _numbers(row)
        return row if 0 < first <= last and isinstance(row["kind"], str) else None
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
    return JournalLine(uuid.UUID(row["id"]), row["kind"], at, tuple(row["who"]), row["key"], row["body"])


def _written(line: JournalLine, number: int) -> str:
    row = {
        "n": number,
        "id": str(line.id),
        "kind": line.kind,
        "at": line.at.isoformat(),
        "who": line.who,
        "key": line.key,
        "body": line.body,
    }
    return json.dumps(row) + "\n"


def _gap(numbers: tuple[int, int] | None) -> bytes:
    return json.dumps({"n": numbers, "kind": REMOVED}).encode() + b"\n" if numbers else b""


def ids_in(lines: Iterable[JournalLine]) -> set[uuid.UUID]:
    return {line.id for line in lines}
