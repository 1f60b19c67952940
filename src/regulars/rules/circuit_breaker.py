"""A service that does not answer rules is left alone for a while: one login waits for it, not every login."""

from __future__ import annotations

import threading
import time

OPENS_AT = 3  # silences in a row
PAUSE = 30.0  # seconds; then it is tried again, and one more silence is enough
COUNTS_FROM = 0.25  # seconds; whoever is more impatient than that learns nothing about the service
MOST = 1000  # services remembered

_lock = threading.Lock()
_silences: dict[str, int] = {}  # "host:port" → how many in a row, by this process
_until: dict[str, float] = {}


def is_left_alone(service: str) -> bool:
    """`service` is `host:port`."""
    with _lock:
        return _until.get(service, 0.0) > time.monotonic()


def note_silence(service: str, waited: float) -> None:
    """It did not answer within `waited` seconds."""
    if waited < COUNTS_FROM:
        return
    with _lock:
        if len(_silences) >= MOST:
            _silences.clear()
            _until.clear()
        _silences[service] = _silences.get(service, 0) + 1
        if _silences[service] >= OPENS_AT:
            _until[service] = time.monotonic() + PAUSE


def note_answer(service: str) -> None:
    """It answered, whatever it said."""
    with _lock:
        _silences.pop(service, None)
        _until.pop(service, None)
