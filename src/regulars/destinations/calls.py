"""HTTP calls to destinations: make one, and map its answer to success or failure. Shared by all kinds that use HTTP."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from regulars.base import http
from regulars.base.errors import DomainError

TIMEOUT, MAX_ANSWER = 15.0, 1_000_000  # seconds, bytes
RETRYABLE = frozenset({408, 425, 429})
LONGEST_WAIT = 24 * 3600.0  # seconds; a receiver cannot delay us for longer


class SendFailed(DomainError):
    """The message did not arrive. `permanent`: trying again changes nothing; `after`: seconds the receiver asks for."""

    def __init__(self, code: str, message: str = "", *, permanent: bool = False, after: float | None = None) -> None:
        super().__init__(code, message)
        self.permanent = permanent
        self.after = after


@dataclass(frozen=True)
class HttpCall:
    """One HTTP call. `json` is the body, or `content` where the exact bytes matter (signatures)."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None

    @property
    def body(self) -> str:
        """Return the body as people read it."""
        if self.json is not None:
            return json.dumps(self.json, indent=2, ensure_ascii=False)
        return (self.content or b"").decode(errors="replace")


def perform(call: HttpCall, *, accept: frozenset[int] = frozenset()) -> http.Response:
    """Make the call. Only 2xx and the statuses in `accept` are success; anything else raises `SendFailed`.

    A redirect is not followed: only the address in the settings receives the data.
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
    except http.RequestRefused as refused:
        raise SendFailed(refused.code, refused.message, permanent=True) from None
    except http.RequestFailed as fault:
        raise SendFailed(fault.code, fault.message) from None
    if 200 <= answer.status < 300 or answer.status in accept:
        return answer
    raise failure_of(answer)


def failure_of(answer: http.Response, code: str = "", message: str = "") -> SendFailed:
    """Return the failure of an answer: 5xx and "too many requests" are temporary, other 4xx and redirects permanent."""
    permanent = answer.status < 500 and answer.status not in RETRYABLE
    return SendFailed(
        code or f"http_{answer.status}",
        message or f"The receiver answered {answer.status}.",
        permanent=permanent,
        after=None if permanent else seconds_until(answer.headers.get("retry-after", "")),
    )


def json_object(answer: http.Response) -> dict[str, Any]:
    """Return the answer's JSON object. `SendFailed("bad_answer")`: a page, or JSON of another shape, is no confirmation."""
    try:
        found = answer.json()
    except http.RequestFailed as fault:
        raise SendFailed(fault.code, fault.message) from None
    if not isinstance(found, dict):
        raise SendFailed("bad_answer", "The answer is JSON, but not an object.")
    return found


def seconds_until(retry_after: str) -> float | None:
    """Return `Retry-After` in seconds from now: a number, or an HTTP date. None: nothing usable."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(retry_after)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    except (ValueError, TypeError, OverflowError):  # the header is the receiver's
        return None
    return min(max((moment - dt.datetime.now(dt.UTC)).total_seconds(), 0.0), LONGEST_WAIT)
