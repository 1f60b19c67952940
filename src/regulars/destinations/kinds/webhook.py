"""A webhook, signed as Standard Webhooks 1.0.0 says, so that receivers verify it with a library they may have already."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import email.utils
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from regulars.base.kit import clock, http
from regulars.base.kit.errors import Refused

from ..kind import Field, Message, SendFailed

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)
TIMEOUT, MAX_ANSWER = 15.0, 100_000  # seconds, bytes
COME_AGAIN = frozenset({408, 429})
LONGEST_WAIT = 24 * 3600.0  # seconds; no receiver may put us off for longer


class Webhook:
    title = "Webhook"
    help = "A signed POST to your own system whenever a customer enters or leaves a segment."
    fields = (
        Field("url", "Address", "Where messages are sent, such as https://example.com/hooks/regulars."),
        Field(
            "secret", "Signing secret", "whsec_ and 24 to 64 bytes in base64; your system has the same.", secret=True
        ),
    )
    needs: tuple[str, ...] = ()

    def check(self, settings: Mapping[str, str]) -> None:
        """`Refused("bad_url" | "bad_secret")`."""
        try:
            parts = urlsplit(settings["url"])
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused("bad_url", "The address is not a web address.")
        _key(settings["secret"])

    def send(self, message: Message, settings: Mapping[str, str]) -> None:
        content = json.dumps(body(message), separators=(",", ":"), ensure_ascii=False).encode()
        moment = int(clock.now().timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(moment),
            "webhook-signature": signature(settings["secret"], message.id, moment, content),
        }
        try:
            answer = http.request(
                "POST", settings["url"], headers=headers, content=content, timeout=TIMEOUT, max_bytes=MAX_ANSWER
            )
        except http.HttpRefused as no:
            raise SendFailed(no.name, no.sentence, permanent=True) from None
        except http.HttpFailed as fault:
            raise SendFailed(fault.name, fault.sentence) from None
        _read(answer)


def body(message: Message) -> dict[str, Any]:
    """What a receiver reads: `{"type", "timestamp", "data": {"user_id", "segment": {"slug", "name"}, "traits"}}`."""
    return {
        "type": message.type,
        "timestamp": message.at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z"),
        "data": {
            "user_id": message.user_id,
            "segment": {"slug": message.segment_slug, "name": message.segment_name},
            "traits": dict(message.traits),
        },
    }


def signature(secret: str, message_id: str, moment: int, content: bytes) -> str:
    """The `webhook-signature` header: `v1,` and the HMAC-SHA256 over id, Unix seconds and body, joined by dots."""
    signed = f"{message_id}.{moment}.".encode() + content
    return "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise Refused("bad_secret", "The signing secret is whsec_ followed by 24 to 64 bytes in base64.")
    return key


def _read(answer: http.Response) -> None:
    """Only 2xx is arrival. A redirect is not followed: the address that was agreed on is the one that gets the data."""
    if 200 <= answer.status < 300:
        return
    permanent = answer.status < 500 and answer.status not in COME_AGAIN
    after = None if permanent else _seconds(answer.headers.get("retry-after", ""))
    raise SendFailed(
        f"http_{answer.status}", f"The receiver answered {answer.status}.", permanent=permanent, after=after
    )


def _seconds(retry_after: str) -> float | None:
    """`Retry-After` as seconds from now: a number, or a date as HTTP writes it. None: nothing usable was said."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return min(max((moment - dt.datetime.now(dt.UTC)).total_seconds(), 0.0), LONGEST_WAIT)


webhook = Webhook()
