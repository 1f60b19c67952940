"""Checks of what an installation stores on: disks, the home folder, the database file and the lake.

One place knows which fault has which code: `regulars doctor`, every other command and the readiness check ask here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, OperationalError, connection

from regulars.base.errors import DomainError
from regulars.base.lake.tables import check_tables

MIN_FREE = 16 * 1024 * 1024  # bytes: SQLite's log and one commit of the lake need some
PROBE = b"\0" * 4096

_OF_FILES = {
    errno.ENOSPC: ("disk_full", "The disk is full"),
    errno.EDQUOT: ("disk_full", "The disk quota is used up"),
    errno.EROFS: ("read_only", "The file system is read-only"),
    errno.EACCES: ("permission_denied", "Permission denied"),
    errno.EPERM: ("permission_denied", "Permission denied"),
    errno.ENOENT: ("file_not_found", "No such file or folder"),
    errno.ENOTDIR: ("file_not_found", "Not a folder"),
    errno.EISDIR: ("not_a_file", "This is a folder"),
    errno.EIO: ("disk_failing", "The disk reports an error"),
}
_OF_SQLITE = {
    sqlite3.SQLITE_FULL: ("disk_full", "The disk of the database is full."),
    sqlite3.SQLITE_READONLY: ("database_read_only", "The database cannot be written to."),
    sqlite3.SQLITE_CANTOPEN: ("database_unreachable", "The database file cannot be opened."),
    sqlite3.SQLITE_PERM: ("database_unreachable", "The database file cannot be opened."),
    sqlite3.SQLITE_CORRUPT: ("database_damaged", "The database is damaged. Restore a backup."),
    sqlite3.SQLITE_NOTADB: ("database_damaged", "The database file is no SQLite database. Restore a backup."),
    sqlite3.SQLITE_IOERR: ("disk_failing", "The disk of the database reports an error."),
    sqlite3.SQLITE_BUSY: ("database_busy", "Another process writes to the database for too long. Try again."),
    sqlite3.SQLITE_LOCKED: ("database_busy", "Another process writes to the database for too long. Try again."),
}
_OF_POSTGRESQL = {  # by the first characters of SQLSTATE
    "53100": ("disk_full", "The disk of the database is full."),
    "25006": ("database_read_only", "The database cannot be written to."),
    "42P01": ("not_set_up", "Tables are missing. Run `regulars setup`."),
    "42703": ("not_set_up", "Columns are missing. Run `regulars setup`."),
    "XX": ("database_damaged", "The database is damaged. Restore a backup."),
    "40P01": ("database_busy", "Others write the same at this moment. Try again."),
    "55P03": ("database_busy", "Another process writes to the database for too long. Try again."),
}


@dataclass(frozen=True)
class StorageFault:
    """What is wrong, as a stable code and a sentence for operators. The sentence may hold paths of this machine."""

    code: str
    message: str


def storage_faults() -> list[StorageFault]:
    """Check folders and lake. Empty when everything can be written and read. Takes milliseconds."""
    return [*folder_faults(), *lake_faults()]


def folder_faults() -> Iterator[StorageFault]:
    """Write a few bytes into every folder that data goes to, and look at the free space."""
    for folder in _folders():
        try:
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe-") as file:
                file.write(PROBE)
                file.flush()
                os.fsync(file.fileno())
            status = os.statvfs(folder)
        except OSError as error:
            yield fault_of_file(error, folder)
            continue
        if status.f_bavail * status.f_frsize < MIN_FREE:
            free = status.f_bavail * status.f_frsize // 1024
            yield StorageFault("disk_full", f"The disk of {folder} has {free:,} kB left.")
    # Models cannot be imported before the settings are read, and a fault of the settings is named here too.
    from regulars.consent.erasures import list_path
    from regulars.consent.journal import journal_path

    for list_ in (list_path(), journal_path()):  # what a decision or an erasure waits for
        try:
            with contextlib.suppress(FileNotFoundError):
                os.close(os.open(list_, os.O_RDWR))
        except OSError as error:
            yield fault_of_file(error, list_)


def lake_faults() -> Iterator[StorageFault]:
    """Open both tables of the lake and compare their log with their files."""
    try:
        check_tables()
    except (DomainError, OSError) as error:
        yield fault_of(error) or StorageFault("lake_damaged", str(error))


def fault_of(error: BaseException) -> StorageFault | None:
    """Name a fault of storage or configuration; None for an error that is none of these."""
    match error:
        case DomainError():
            return StorageFault(error.code, error.message)
        case ImproperlyConfigured():
            return StorageFault("bad_configuration", str(error))
        case sqlite3.Error():  # of a backup, which does without Django
            return _fault_of_sqlite(error)
        case DatabaseError():
            return _fault_of_database(error)
        case OSError():
            return fault_of_file(error)
    return None


def fault_of_file(error: OSError, path: Path | None = None) -> StorageFault:
    code, sentence = _OF_FILES.get(error.errno or 0, ("system_error", error.strerror or type(error).__name__))
    place = path or error.filename
    return StorageFault(code, f"{sentence}: {place}" if place else f"{sentence}.")


def _fault_of_database(error: DatabaseError) -> StorageFault | None:
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return _fault_of_sqlite(cause)
    state = getattr(cause, "sqlstate", None) or ""
    for prefix, known in _OF_POSTGRESQL.items():
        if state.startswith(prefix):
            return StorageFault(*known)
    if isinstance(error, OperationalError):
        lines = str(error).strip().splitlines()
        return StorageFault("database_unreachable", f"The database does not answer: {lines[0] if lines else ''}")
    return None


def _fault_of_sqlite(error: sqlite3.Error) -> StorageFault | None:
    if "no such table" in str(error) or "no such column" in str(error):
        return StorageFault("not_set_up", "Tables are missing. Run `regulars setup`.")
    # The low byte is the error, the others its details. Errors of Python's own module have no code.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and (folder := next(folder_faults(), None)):
        return folder  # the reason: a full or read-only disk takes no log
    known = _OF_SQLITE.get(code)
    return StorageFault(*known) if known else None


def _folders() -> list[Path]:
    """Return the folders of home, database and lake, without those inside another that exists."""
    wanted = [Path(settings.HOME)]
    if connection.vendor == "sqlite":
        wanted.append(Path(str(connection.settings_dict["NAME"])).parent)
    if "://" not in str(settings.LAKE_URL):
        lake = Path(settings.LAKE_URL)
        wanted.append(next(each for each in (lake, *lake.parents) if each.exists()))
    return list(dict.fromkeys(wanted))
