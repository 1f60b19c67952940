"""A CSV file for spreadsheets: one line for each time a customer entered or left a segment."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings

from regulars.base.errors import Invalid
from regulars.base.spreadsheet import escaped

from ..kind import DeletionRequest, DestinationKind, FieldUpdate, SegmentMessage, SendFailed, SettingField

COLUMNS = ("message_id", "at", "type", "user_id", "segment", "segment_name", "traits")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.csv")


class CsvFile(DestinationKind):
    title = "CSV file"
    help = "Lines appended to a file in the exports folder."
    fields = (SettingField("file", "File name", "Letters, digits, - and _, ending in .csv.", default="segments.csv"),)
    can_remove = True
    can_update = True

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_file_name")`: a name, never a path."""
        if not _NAME.fullmatch(settings["file"]):
            raise Invalid("bad_file_name", "A file name has letters, digits, - and _, and ends in .csv.")

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        self.check(settings)
        segment = (message.segment_slug, message.segment_name)
        cells = (message.id, message.at.isoformat(), message.type, message.user_id, *segment, _json(message.traits))
        _write(settings["file"], [escaped(cell) for cell in cells])

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        """Remove the customer's lines; a line `customer.removed` notifies readers that copied them.

        For an erasure no line stays, not even that one.
        """
        self.check(settings)
        _rewrite(settings["file"], request.user_id, lambda row: None)
        if not request.erase:
            cells = (request.id, request.at.isoformat(), request.type, request.user_id, "", "", "")
            _write(settings["file"], [escaped(cell) for cell in cells])

    def update(self, update: FieldUpdate, settings: Mapping[str, str]) -> None:
        """Correct the customer's lines; a line `customer.updated` notifies readers that copied them, null: delete it."""
        self.check(settings)
        column = COLUMNS.index("traits")

        def corrected(row: list[str]) -> list[str] | None:
            if row[0] == update.id:  # of an attempt before
                return None
            traits = updated_traits(row[column], update)
            return [*row[:column], _json(traits) if row[column] else "", *row[column + 1 :]]

        _rewrite(settings["file"], update.user_id, corrected)
        cells = (update.id, update.at.isoformat(), update.type, update.user_id, "", "", _json(update.fields))
        _write(settings["file"], [escaped(cell) for cell in cells])


def updated_traits(text: str, update: FieldUpdate) -> dict[str, Any]:
    """Return the traits of a stored message with new values, without those that may not be used any more."""
    traits = json.loads(text) if text else {}
    changed = {name: update.fields.get(name, value) for name, value in traits.items()}
    return {name: value for name, value in changed.items() if name not in update.fields or value is not None}


def _json(traits: Mapping[str, Any]) -> str:
    return json.dumps(dict(traits), ensure_ascii=False, sort_keys=True)


def _rewrite(name: str, user_id: str, change: Callable[[list[str]], list[str] | None]) -> None:
    """Change or drop (None) the lines of a customer, in place, so that concurrent writers append to the same file."""
    path = _path(name)
    try:
        if not path.exists():
            return
        with path.open("r+", encoding="utf-8", newline="") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            column, cell = COLUMNS.index("user_id"), escaped(user_id)
            rows = [change(row) if row[column] == cell else row for row in csv.reader(file)]
            file.seek(0)
            csv.writer(file).writerows(row for row in rows if row is not None)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        raise SendFailed("cannot_write", f"The file cannot be written: {fault.strerror}.") from None


def _path(name: str) -> Path:
    return Path(django_settings.HOME) / "exports" / name


def _write(name: str, cells: list[str]) -> None:
    """Append one whole line despite concurrent writers; it is on disk on return. Only the owner may read the file."""
    path = _path(name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            head = [] if os.fstat(descriptor).st_size else [COLUMNS]
            text = io.StringIO()
            csv.writer(text).writerows([*head, cells])
            file.write(text.getvalue().encode())
            file.flush()
            os.fsync(descriptor)
    except OSError as fault:
        raise SendFailed("cannot_write", f"The file cannot be written: {fault.strerror}.") from None


csv_file = CsvFile()
