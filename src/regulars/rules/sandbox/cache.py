"""The folder of this home in which compiled code and modules are kept between processes. Loads no engine."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from django.conf import settings

FRESH = 3600.0  # seconds in which somebody else may be about to use what was compiled


class Unavailable(Exception):
    """This installation cannot run JavaScript; the text says why."""


def cached(name: str) -> Path:
    """Where something of the sandbox is kept between processes."""
    return _cache() / name


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that nobody ever sees half of."""
    draft = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    draft.write_bytes(content)
    draft.replace(path)


def forget_older() -> None:
    """Drop compiled code of former releases and libraries. Whoever runs it has it mapped and goes on.

    The operator's own Python rules lie in the same folder and stay.
    """
    for path in _cache().glob("?" * 64 + ".*"):
        if path.suffix in (".wasm", ".cwasm", ".json") and time.time() - path.stat().st_mtime > FRESH:
            path.unlink(missing_ok=True)


def _cache() -> Path:
    """The folder of compiled code. What is in it gets executed: it must be ours and nobody else's to write."""
    path = Path(settings.HOME) / "rules"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = path.stat()
    if about.st_uid != os.getuid() or about.st_mode & 0o022:
        raise Unavailable("the folder of compiled rules is writable by others")
    return path
