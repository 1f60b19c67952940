"""Circuit breaker for services that rules call: after time-outs one login waits for a service, not every login."""

from __future__ import annotations

import threading
import time

OPENS_AT = 3  # time-outs in a row
PAUSE = 30.0  # seconds; then one request is tried, and one more time-out opens the circuit again
MIN_TIMEOUT = 0.25  # seconds; a shorter timeout proves nothing about the service
MAX_SERVICES = 1000

_lock = threading.Lock()
_timeouts: dict[str, int] = {}  # "host:port" → time-outs in a row, in this process
_open_until: dict[str, float] = {}


def is_open(service: str) -> bool:
    """Return whether requests to `service` (`host:port`) are suspended."""
    with _lock:
        return _open_until.get(service, 0.0) > time.monotonic()


def record_timeout(service: str, waited: float) -> None:
    """Record that the service did not answer within `waited` seconds."""
    if waited < MIN_TIMEOUT:
        return
    with _lock:
        if len(_timeouts) >= MAX_SERVICES:
            _timeouts.clear()
            _open_until.clear()
        _timeouts[service] = _timeouts.get(service, 0) + 1
        if _timeouts[service] >= OPENS_AT:
            _open_until[service] = time.monotonic() + PAUSE


def record_answer(service: str) -> None:
    """Record an answer of any status, which closes the circuit."""
    with _lock:
        _timeouts.pop(service, None)
        _open_until.pop(service, None)
