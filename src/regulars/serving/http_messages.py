"""Small responses of the server itself, outside Django."""

from __future__ import annotations

import logging
import time
from collections import Counter
from http import HTTPStatus

from regulars.interfaces.collector.app import Send

Pairs = list[tuple[bytes, bytes]]

LOG_SECONDS = 10.0
CHUNK = 64 * 1024  # bytes handed to the server at a time; it takes the next when the client has read enough

log = logging.getLogger("regulars.serving")


class SeldomLog:
    """Warn of each kind of event once in `LOG_SECONDS`, with how often it happened: an attack must not fill the log."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.reported_at: dict[str, float] = {}

    def warn(self, event: str) -> None:
        self.counts[event] += 1
        now = time.monotonic()
        if now - self.reported_at.get(event, -LOG_SECONDS) >= LOG_SECONDS:
            log.warning("%s (%d times since it was last reported)", event, self.counts.pop(event))
            self.reported_at[event] = now


seldom_log = SeldomLog()


async def respond(send: Send, status: int, headers: Pairs, body: bytes) -> None:
    """Send a response, a large one in pieces, so that one that is not read stays here and meets its deadline."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for at in range(0, len(body) - CHUNK, CHUNK):
        await send({"type": "http.response.body", "body": body[at : at + CHUNK], "more_body": True})
    rest = (len(body) - 1) // CHUNK * CHUNK if body else 0
    await send({"type": "http.response.body", "body": body[rest:]})


async def answer_json(send: Send, status: HTTPStatus, body: bytes) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await respond(send, status, headers, body)


async def plain(send: Send, status: HTTPStatus, extra: Pairs | None = None) -> None:
    """Answer with the status only. `extra` are further headers."""
    seldom_log.warn(f"answered {status.value} {status.phrase}")
    body = f"{status.value} {status.phrase}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await respond(send, status, headers + (extra or []), body)
