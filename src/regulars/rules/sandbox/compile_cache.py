"""The folder of compiled code and modules in this home, shared by processes. Imports no engine."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import suppress
from pathlib import Path

from django.conf import settings

FRESH = 3600.0  # seconds in which another process may still be about to load a file
DRAFT = re.compile(r".+\.\d+\.\d+")  # of a process and a thread


class EngineUnavailable(Exception):
    """This installation cannot run JavaScript; the text has the reason."""


def cached(name: str) -> Path:
    """Return the path of a cached file."""
    return _cache() / name


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically. Drafts in its folder that killed processes left are deleted an hour later."""
    for left in path.parent.iterdir():
        with suppress(FileNotFoundError):  # another process renames or deletes it just now
            if DRAFT.fullmatch(left.name) and time.time() - left.stat().st_mtime > FRESH:
                left.unlink()
    draft = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    draft.write_bytes(content)
    draft.replace(path)


def delete_older() -> None:
    """Delete compiled code of former releases and libraries. Processes that run it have it mapped and go on.

    The operator's Python rules are in the same folder and stay.
    """
    for path in _cache().glob("?" * 64 + ".*"):
        if path.suffix in (".wasm", ".cwasm", ".json") and time.time() - path.stat().st_mtime > FRESH:
            path.unlink(missing_ok=True)


def _cache() -> Path:
    """Return the folder of compiled code, which is executed: only this user may write to it."""
    path = Path(settings.HOME) / "rules"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = path.stat()
    if about.st_uid != os.getuid() or about.st_mode & 0o022:
        raise EngineUnavailable("the folder of compiled rules is writable by others")
    return path
