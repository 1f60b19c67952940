"""Segment's HTTP tracking API. Its responses follow from how unmodified SDKs react to them.

Success is exactly 200 and a JSON object. A 4xx makes every SDK drop the whole batch, so only a body without any message gets
one; 503 with Retry-After makes SDKs keep the batch and retry.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from regulars.base.errors import DomainError
from regulars.base.text import storable
from regulars.events.inbox import Inbox, Overloaded, ServerKeyInBrowser
from regulars.events.segment_format import BATCHES, MAX_BODY, TYPES, BadBody, Parsed, parse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = dict[bytes, bytes]

PREFIX = "/v1/"
WORDS = frozenset(TYPES) | BATCHES
METRICS = "m"  # health reports of the browser SDK, accepted and discarded
MAX_MEMBERS = 100  # of a gzip body; each costs a copy of the rest
SUCCESS = b'{"success":true}'
ALLOWED_HEADERS = b"authorization, content-type, content-encoding, x-retry-count"


class BadRequest(DomainError):
    """With the HTTP status to answer."""

    def __init__(self, status: int, name: str, sentence: str) -> None:
        super().__init__(name, sentence)
        self.status = status


class Collector:
    """An ASGI application for the paths that `takes` says yes to."""

    def __init__(self) -> None:
        self.inbox: Inbox | None = None

    def takes(self, path: str) -> bool:
        return path.startswith(PREFIX)

    async def close(self) -> None:
        if self.inbox is not None:
            await self.inbox.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = dict(scope["headers"])
        try:
            status, body = await self._answer(scope, headers, receive)
            extra: list[tuple[bytes, bytes]] = []
        except BadRequest as no:
            status, body, extra = no.status, _failure(no), []
        except ServerKeyInBrowser as no:
            status, body, extra = 403, _failure(no), []
        except Overloaded as no:
            status, body, extra = 503, _failure(no), [(b"retry-after", b"1")]
        except DomainError as no:
            status, body, extra = 400, _failure(no), []
        length = [] if status == 204 else [(b"content-length", str(len(body)).encode())]
        response_headers = [(b"content-type", b"application/json"), *length, *_cors(headers), *extra]
        await send({"type": "http.response.start", "status": status, "headers": response_headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive) -> tuple[int, bytes]:
        # An SDK whose address was set with /v1, and that adds /v1 itself, would lose every event.
        word = scope["path"].removeprefix(PREFIX).removeprefix(PREFIX.lstrip("/")).strip("/")
        match scope["method"]:
            case "OPTIONS":
                return 204, b""
            case "GET" | "HEAD" if word.startswith("projects/") and word.endswith("/settings"):
                return 200, _settings(word.split("/")[1])
            case "POST" if word == METRICS:
                return 200, SUCCESS
            case "POST" if word in WORDS:
                await self._take(word, headers, receive)
                return 200, SUCCESS
            case "POST" | "GET" | "HEAD":
                raise BadRequest(404, "unknown_path", "There is no such address here.")
        raise BadRequest(405, "method_not_allowed", "Send messages with POST.")

    async def _take(self, word: str, headers: Headers, receive: Receive) -> None:
        body = _unpacked(await _body(headers, receive), headers)
        try:
            await self._keep(parse(word, body), headers)
        except BadBody as refused:
            if refused.parsed is not None:  # the operator sees it too, not only the sender
                await self._keep(refused.parsed, headers)
            raise

    async def _keep(self, parsed: Parsed, headers: Headers) -> None:
        if self.inbox is None:
            self.inbox = Inbox()
        key = storable(_basic_user(headers) or parsed.key)
        # Every browser says where a request to another site comes from; servers have no reason to.
        from_browser = b"origin" in headers or b"sec-fetch-mode" in headers
        await self.inbox.put(key, parsed.messages, parsed.rejected, parsed.sent_at, from_browser=from_browser)


async def _body(headers: Headers, receive: Receive) -> bytes:
    """Read the whole body, within `MAX_BODY` bytes and the deadline of `receive`, whether or not its length is declared."""
    announced = headers.get(b"content-length", b"0")
    if announced.isdigit() and int(announced) > MAX_BODY:
        raise _too_large()
    body = bytearray()
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":  # or no HTTP: the server below tells no difference
                raise BadRequest(400, "incomplete_body", "The body ended early, or is no valid HTTP.")
            body += message.get("body", b"")
            if len(body) > MAX_BODY:
                raise _too_large()
            if not message.get("more_body"):
                return bytes(body)
    except TimeoutError:
        raise BadRequest(408, "too_slow", "The body did not arrive in time.") from None


def _unpacked(body: bytes, headers: Headers) -> bytes:
    match headers.get(b"content-encoding", b"").strip().lower():
        case b"" | b"identity":
            return body
        case b"gzip" | b"x-gzip":
            return _gunzipped(body)
    raise BadRequest(415, "unknown_encoding", "Bodies come plain or packed with gzip.")


def _gunzipped(body: bytes) -> bytes:
    """Unpack every member of a gzip body (a sender may have joined packets); never more than the limit in memory."""
    plain, members = b"", 0
    while body.strip(b"\0"):  # what may follow is padding
        members += 1
        if members > MAX_MEMBERS:
            raise BadRequest(400, "invalid_gzip", f"A gzip body has at most {MAX_MEMBERS} members.")
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            plain += unpacker.decompress(body, MAX_BODY + 1 - len(plain))
        except zlib.error:
            raise BadRequest(400, "invalid_gzip", "The body says gzip and is not.") from None
        if len(plain) > MAX_BODY:
            raise _too_large()
        if not unpacker.eof:
            raise BadRequest(400, "invalid_gzip", "The packed body ends too early.")
        body = unpacker.unused_data
    return plain


def _too_large() -> BadRequest:
    return BadRequest(413, "too_large", f"A body has at most {MAX_BODY} bytes.")


def _basic_user(headers: Headers) -> str:
    """The write key as Basic user name, with or without the colon; empty when there is none."""
    scheme, _, rest = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"basic":
        return ""
    try:
        return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _settings(key: str) -> bytes:
    """What the browser SDK loads before its first event. It takes the write key for its bodies from in here."""
    return msgspec.json.encode(
        {
            "integrations": {
                "Segment.io": {
                    "apiKey": key,
                    "unbundledIntegrations": [],
                    "addBundledMetadata": True,
                    "maybeBundledConfigIds": {},
                    "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
                }
            },
            "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
            "edgeFunction": {},
            "metrics": {"sampleRate": 0},
            "remotePlugins": [],
        }
    )


def _failure(no: DomainError) -> bytes:
    return msgspec.json.encode({"success": False, "error": no.code, "message": no.message})


def _cors(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Any site may send: a write key is public. The exact origin is echoed for pages that send credentials."""
    origin = headers.get(b"origin")
    if origin is None:
        return []
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", ALLOWED_HEADERS),
        (b"access-control-max-age", b"86400"),
        (b"vary", b"Origin"),
    ]
