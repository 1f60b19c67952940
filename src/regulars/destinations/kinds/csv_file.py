"""A CSV file for spreadsheets: one line for each time a customer entered or left a segment."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings as django_settings

from regulars.base.errors import Invalid
from regulars.base.spreadsheet import escaped

from ..kind import DeletionRequest, DestinationKind, SegmentMessage, SendFailed, SettingField

COLUMNS = ("message_id", "at", "type", "user_id", "segment", "segment_name", "traits")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.csv")


class CsvFile(DestinationKind):
    title = "CSV file"
    help = "Lines appended to a file in the exports folder."
    fields = (SettingField("file", "File name", "Letters, digits, - and _, ending in .csv.", default="segments.csv"),)
    can_remove = True

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_file_name")`: a name, never a path."""
        if not _NAME.fullmatch(settings["file"]):
            raise Invalid("bad_file_name", "A file name has letters, digits, - and _, and ends in .csv.")

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        self.check(settings)
        traits = json.dumps(dict(message.traits), ensure_ascii=False, sort_keys=True)
        segment = (message.segment_slug, message.segment_name)
        cells = (message.id, message.at.isoformat(), message.type, message.user_id, *segment, traits)
        _write(settings["file"], [escaped(cell) for cell in cells])

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        """Remove the customer's lines; a line `customer.removed` notifies readers that copied them.

        For an erasure no line stays, not even that one.
        """
        self.check(settings)
        path = _path(settings["file"])
        try:
            if path.exists():  # rewritten in place, so that concurrent writers append to the same file
                with path.open("r+", encoding="utf-8", newline="") as file:
                    fcntl.flock(file, fcntl.LOCK_EX)
                    column, user_id = COLUMNS.index("user_id"), escaped(request.user_id)
                    kept = [row for row in csv.reader(file) if row[column] != user_id]
                    file.seek(0)
                    csv.writer(file).writerows(kept)
                    file.truncate()
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as fault:
            raise SendFailed("cannot_write", f"The file cannot be written: {fault.strerror}.") from None
        if not request.erase:
            cells = (request.id, request.at.isoformat(), request.type, request.user_id, "", "", "")
            _write(settings["file"], [escaped(cell) for cell in cells])


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
