"""The business clock, for questions, consent, facts and segments.

Protocols (tokens, sessions, signatures) use the machine's clock, because the other side does.
"""

from __future__ import annotations

import datetime as dt
import os
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo


def now() -> dt.datetime:
    """Return the current instant in UTC, moved by the offset file where an operator configured one."""
    return dt.datetime.now(dt.UTC) + _offset()


def today() -> dt.date:
    """Return the business's day."""
    return now().astimezone(zone()).date()


@cache
def zone() -> ZoneInfo:
    """Return the business's time zone, `REGULARS_TIME_ZONE`, in which its days begin. Raises `ZoneInfoNotFoundError`, `ValueError`."""
    return ZoneInfo(os.environ.get("REGULARS_TIME_ZONE") or "UTC")


def _offset() -> dt.timedelta:
    path = _offset_file()
    if path is None:
        return dt.timedelta()
    try:
        return dt.timedelta(seconds=float(path.read_text()))
    except (OSError, ValueError):
        return dt.timedelta()


@cache
def _offset_file() -> Path | None:
    """Return `REGULARS_CLOCK_OFFSET_FILE`, a file with seconds to add, for rehearsals of later dates."""
    name = os.environ.get("REGULARS_CLOCK_OFFSET_FILE")
    return Path(name) if name else None
