"""Folders for copies of the database that a backup and a restore make, and what is left of them when one is killed.

Each is locked by the process that fills it, so that an abandoned one is known and can go.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from django.conf import settings
from django.db import connection

from regulars.base.home_folder import KEY

PREFIX, SUFFIX = ".regulars-", ".copy"
MANIFEST = "regulars-backup.json"
DRAFT = ".new"  # of a file that will replace another one
CREDENTIALS = "credentials.json"


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Make a folder for a copy of the database, and remove it at the end."""
    folder = Path(mkdtemp(prefix=PREFIX, suffix=SUFFIX, dir=parent))
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def draft_of(path: Path) -> Path:
    return path.with_name(path.name + DRAFT)


def leftovers(parent: Path) -> list[Path]:
    """Return the copies in a folder that no process fills any more.

    Until version 1.1 a restore gave its folder in the home folder a name of Python's own.
    """
    folders = [*parent.glob(f"{PREFIX}*{SUFFIX}"), *(path.parent for path in parent.glob(f"tmp*/{MANIFEST}"))]
    return [path for path in sorted(folders) if path.is_dir() and not _is_held(path)]


def leftovers_of_restore() -> list[Path]:
    """Return what a restore that was killed left behind. Only for those who know that none is under way."""
    replaced = [settings.HOME / KEY, settings.HOME / CREDENTIALS]
    if connection.vendor == "sqlite":
        replaced.append(Path(str(connection.settings_dict["NAME"])))
    return [*leftovers(settings.HOME), *(path for path in map(draft_of, replaced) if path.exists())]


def remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_held(folder: Path) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return True  # it goes just now
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
