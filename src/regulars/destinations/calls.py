"""One HTTP call to a destination, and what its answer means. What every kind that speaks HTTP shares."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from regulars.base import http
from regulars.base.errors import DomainError, Invalid

TIMEOUT, MAX_ANSWER = 15.0, 1_000_000  # seconds, bytes
COME_AGAIN = frozenset({408, 425, 429})
LONGEST_WAIT = 24 * 3600.0  # seconds; no receiver may put us off for longer


class SendFailed(DomainError):
    """The message did not arrive. `permanent`: trying again changes nothing; `after`: seconds the receiver asks for."""

    def __init__(self, name: str, sentence: str = "", *, permanent: bool = False, after: float | None = None) -> None:
        super().__init__(name, sentence)
        self.permanent = permanent
        self.after = after


@dataclass(frozen=True)
class Call:
    """`json` is the body, or `content` where the very bytes matter (signatures)."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None

    @property
    def body(self) -> str:
        """The body as people read it."""
        if self.json is not None:
            return json.dumps(self.json, indent=2, ensure_ascii=False)
        return (self.content or b"").decode(errors="replace")


def perform(call: Call, *, accept: frozenset[int] = frozenset()) -> http.Response:
    """Make the call. Only 2xx, and what is in `accept`, is arrival; anything else raises `SendFailed` by its kind.

    A redirect is not followed: the address that was agreed on is the one that gets the data.
    """
    try:
        answer = http.request(
            call.method,
            call.url,
            headers=call.headers,
            json=call.json,
            content=call.content,
            timeout=TIMEOUT,
            max_bytes=MAX_ANSWER,
        )
    except http.RequestRefused as no:
        raise SendFailed(no.code, no.message, permanent=True) from None
    except http.RequestFailed as fault:
        raise SendFailed(fault.code, fault.message) from None
    if 200 <= answer.status < 300 or answer.status in accept:
        return answer
    raise unwell(answer)


def unwell(answer: http.Response, name: str = "", sentence: str = "") -> SendFailed:
    """The fault an answer stands for: 5xx and "too many" pass, other 4xx and redirects stay."""
    permanent = answer.status < 500 and answer.status not in COME_AGAIN
    return SendFailed(
        name or f"http_{answer.status}",
        sentence or f"The receiver answered {answer.status}.",
        permanent=permanent,
        after=None if permanent else seconds_until(answer.headers.get("retry-after", "")),
    )


def table(answer: http.Response) -> dict[str, Any]:
    """The answer's JSON object. `SendFailed("bad_answer")`: a page, or JSON of another shape, is no confirmation."""
    try:
        said = answer.json()
    except http.RequestFailed as fault:
        raise SendFailed(fault.code, fault.message) from None
    if not isinstance(said, dict):
        raise SendFailed("bad_answer", "The answer is JSON, but not an object.")
    return said


def check_url(address: str, label: str = "The address") -> None:
    """`Invalid("bad_url")`."""
    try:
        parts = urlsplit(address)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname
    except ValueError:
        wrong = True
    if wrong or any(ord(sign) < 32 for sign in address):
        raise Invalid("bad_url", f"{label} is not a web address.")


def seconds_until(retry_after: str) -> float | None:
    """`Retry-After` as seconds from now: a number, or a date as HTTP writes it. None: nothing usable was said."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return min(max((moment - dt.datetime.now(dt.UTC)).total_seconds(), 0.0), LONGEST_WAIT)
