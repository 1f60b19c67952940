"""One HTTP question to a source, and which answers are faults. What every source that calls out shares."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from regulars.base import http
from regulars.base.errors import Invalid

from .source import LookupFailed

TIMEOUT, MAX_ANSWER = 15.0, 500_000  # seconds, bytes
COME_AGAIN = frozenset({408, 425, 429})
LONGEST_WAIT = 24 * 3600.0  # seconds


def ask(method: str, url: str, *, headers: dict[str, str] | None = None, json: Any = None) -> http.Response:
    """Whatever the source answered, for the caller to read. Raises `LookupFailed` when it did not answer."""
    try:
        return http.request(method, url, headers=headers, json=json, timeout=TIMEOUT, max_bytes=MAX_ANSWER)
    except http.RequestRefused as no:
        raise LookupFailed(no.code, no.message, permanent=True) from None
    except http.RequestFailed as fault:
        raise LookupFailed(fault.code, fault.message) from None


def record(answer: http.Response, who: str) -> dict[str, Any]:
    """The JSON object of a 200; empty for a 404. Everything else is a fault and never an answer."""
    if answer.status == 404:
        return {}
    if answer.status != 200:
        raise unwell(answer, who)
    if answer.body.lstrip().startswith(b"<"):
        raise LookupFailed("html_answer", f"{who} answered with a page for people.")
    try:
        said = answer.json()
    except http.RequestFailed as fault:
        raise LookupFailed(fault.code, fault.message) from None
    if not isinstance(said, dict):
        raise LookupFailed("unknown_shape", f"{who} answered JSON, but not an object.", permanent=True)
    return said


def unwell(answer: http.Response, who: str) -> LookupFailed:
    """5xx and "too many" pass, other 4xx and redirects stay."""
    permanent = answer.status < 500 and answer.status not in COME_AGAIN
    said = answer.headers.get("retry-after", "")
    after = min(float(said), LONGEST_WAIT) if not permanent and said.isascii() and said.isdigit() else None
    return LookupFailed(f"http_{answer.status}", f"{who} answered {answer.status}.", permanent=permanent, after=after)


def check_url(address: str) -> None:
    """`Invalid("bad_url")`."""
    try:
        parts = urlsplit(address)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname
    except ValueError:
        wrong = True
    if wrong or any(ord(sign) < 32 for sign in address):
        raise Invalid("bad_url", "The address of the API is not a web address.")
