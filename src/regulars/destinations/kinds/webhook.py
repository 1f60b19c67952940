"""A webhook, signed as Standard Webhooks 1.0.0 specifies, so that receivers verify it with an existing library."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from regulars.base import clock
from regulars.base.errors import Invalid
from regulars.base.plugins.fields import check_web_address

from ..calls import perform
from ..kind import DeletionRequest, DestinationKind, FieldUpdate, HttpCall, SegmentMessage, SettingField

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)


class Webhook(DestinationKind):
    title = "Webhook"
    help = "A signed POST to your own system whenever a customer enters or leaves a segment."
    fields = (
        SettingField("url", "Address", "Where messages are sent, such as https://example.com/hooks/regulars."),
        SettingField(
            "secret", "Signing secret", "whsec_ and 24 to 64 bytes in base64; your system has the same.", secret=True
        ),
    )
    is_idempotent = True
    can_remove = True
    can_update = True
    has_preview = True

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_url" | "bad_secret")`."""
        check_web_address(settings["url"])
        _key(settings["secret"])

    def calls(self, message: SegmentMessage, settings: Mapping[str, str]) -> list[HttpCall]:
        return [_signed(message.id, body(message), settings)]

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        perform(_signed(message.id, body(message), settings))

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        """Send `customer.removed` (consent withdrawn) or `customer.deleted` (erase the customer); 2xx confirms."""
        perform(_signed(request.id, removal_body(request), settings))

    def update(self, update: FieldUpdate, settings: Mapping[str, str]) -> None:
        """Send `customer.updated` with the changed traits; null: delete it. 2xx confirms."""
        data = {"user_id": update.user_id, "traits": dict(update.fields)}
        payload = {"type": update.type, "timestamp": _moment(update.at), "data": data}
        perform(_signed(update.id, payload, settings))


def body(message: SegmentMessage) -> dict[str, Any]:
    """Return the body: `{"type", "timestamp", "data": {"user_id", "segment": {"slug", "name"}, "traits"}}`."""
    return {
        "type": message.type,
        "timestamp": _moment(message.at),
        "data": {
            "user_id": message.user_id,
            "segment": {"slug": message.segment_slug, "name": message.segment_name},
            "traits": dict(message.traits),
        },
    }


def removal_body(request: DeletionRequest) -> dict[str, Any]:
    """`{"type", "timestamp", "data": {"user_id", "segments": [slug]}}`: the segments the receiver believes the customer is in."""
    data = {"user_id": request.user_id, "segments": list(request.segments)}
    return {"type": request.type, "timestamp": _moment(request.at), "data": data}


def signature(secret: str, message_id: str, moment: int, content: bytes) -> str:
    """Return the `webhook-signature` header: `v1,` and the HMAC-SHA256 over id, Unix seconds and body, joined by dots."""
    signed = f"{message_id}.{moment}.".encode() + content
    return "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise Invalid("bad_secret", "The signing secret is whsec_ followed by 24 to 64 bytes in base64.")
    return key


def _signed(message_id: str, payload: dict[str, Any], settings: Mapping[str, str]) -> HttpCall:
    content = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    moment = int(clock.now().timestamp())
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(moment),
        "webhook-signature": signature(settings["secret"], message_id, moment, content),
    }
    return HttpCall("POST", settings["url"], headers, content=content)


def _moment(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


webhook = Webhook()
