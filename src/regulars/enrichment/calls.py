"""HTTP calls to sources, and which answers are failures. Shared by all sources that make calls."""

from __future__ import annotations

from typing import Any

from regulars.base import http

from .source import LookupFailed

TIMEOUT, MAX_ANSWER = 15.0, 500_000  # seconds, bytes
RETRYABLE = frozenset({408, 425, 429})
LONGEST_WAIT = 24 * 3600.0  # seconds


def ask(method: str, url: str, *, headers: dict[str, str] | None = None, json: Any = None) -> http.Response:
    """Return the answer of the source, whatever its status. Raises `LookupFailed` when it did not answer."""
    try:
        return http.request(method, url, headers=headers, json=json, timeout=TIMEOUT, max_bytes=MAX_ANSWER)
    except http.RequestRefused as refused:
        raise LookupFailed(refused.code, refused.message, permanent=True) from None
    except http.RequestFailed as fault:
        raise LookupFailed(fault.code, fault.message) from None


def record(answer: http.Response, vendor: str) -> dict[str, Any]:
    """Return the JSON object of a 200; empty for a 404. Everything else is a failure and never an answer."""
    if answer.status == 404:
        return {}
    if answer.status != 200:
        raise failure_of(answer, vendor)
    if answer.body.lstrip().startswith(b"<"):
        raise LookupFailed("html_answer", f"{vendor} answered with an HTML page.")
    try:
        found = answer.json()
    except http.RequestFailed as fault:
        raise LookupFailed(fault.code, fault.message) from None
    if not isinstance(found, dict):
        raise LookupFailed("unknown_shape", f"{vendor} answered JSON, but not an object.", permanent=True)
    return found


def failure_of(answer: http.Response, vendor: str) -> LookupFailed:
    """Return the failure of an answer: 5xx and "too many requests" are temporary, other 4xx and redirects permanent."""
    permanent = answer.status < 500 and answer.status not in RETRYABLE
    wait = answer.headers.get("retry-after", "")
    after = min(float(wait), LONGEST_WAIT) if not permanent and wait.isascii() and wait.isdigit() else None
    return LookupFailed(
        f"http_{answer.status}", f"{vendor} answered {answer.status}.", permanent=permanent, after=after
    )
