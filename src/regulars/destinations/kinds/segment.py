"""Twilio Segment, or any server with its HTTP API: audience membership as a trait of the user."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from regulars.base.plugins.fields import check_web_address

from ..calls import perform
from ..kind import DeletionRequest, DestinationKind, FieldUpdate, HttpCall, SegmentMessage, SettingField


class SegmentTracking(DestinationKind):
    title = "Segment"
    help = "Identify calls that carry the segment as a trait: true on entering, false on leaving."
    fields = (
        SettingField("write_key", "Write key", "Of an HTTP API source.", secret=True),
        SettingField("base_url", "Address of the API", default="https://api.segment.io"),
    )
    targets = (
        ("email", "e-mail"),
        ("firstName", "first name"),
        ("lastName", "last name"),
        ("phone", "phone number"),
        ("birthday", "a date"),
        ("gender", "gender"),
    )
    is_idempotent = True
    latest_only = True
    batch_size = 100  # 500 KB are allowed; one customer takes one or two
    can_remove = True
    confirms_erasure = False  # the tracking API has none: what was sent is emptied
    can_update = True
    account_settings = ("write_key",)
    has_preview = True

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_url")`."""
        check_web_address(settings["base_url"], "The address of the API")

    def calls(self, message: SegmentMessage, settings: Mapping[str, str]) -> list[HttpCall]:
        return [_call("identify", _identify_message(message), settings)]

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        for call in self.calls(message, settings):
            perform(call)

    def send_batch(self, messages: Sequence[SegmentMessage], settings: Mapping[str, str]) -> None:
        batch = [{"type": "identify", **_identify_message(message)} for message in messages]
        perform(_call("batch", {"batch": batch}, settings))

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        """Leave every audience and empty every trait that was sent: the tracking API has no deletion."""
        traits = {**dict.fromkeys(request.fields), **dict.fromkeys(request.segments, False)}
        perform(_call("identify", _identify(request.id, request.at, request.user_id, traits, {}), settings))

    def update(self, update: FieldUpdate, settings: Mapping[str, str]) -> None:
        """Set the changed traits; a null empties one."""
        perform(_call("identify", _identify(update.id, update.at, update.user_id, update.fields, {}), settings))


def _identify_message(message: SegmentMessage) -> dict[str, Any]:
    traits = {**message.traits, message.segment_slug: message.entered}
    audience = {
        "computation_class": "audience",
        "computation_id": message.segment_slug,
        "computation_key": message.segment_slug,
    }
    return _identify(message.id, message.at, message.user_id, traits, {"personas": audience})


def _identify(
    message_id: str, at: dt.datetime, user_id: str, traits: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "messageId": message_id,
        "timestamp": at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z"),
        "userId": user_id,
        "traits": dict(traits),
        "context": {"library": {"name": "regulars"}, **context},
    }


def _call(what: str, payload: Mapping[str, Any], settings: Mapping[str, str]) -> HttpCall:
    key = base64.b64encode(f"{settings['write_key']}:".encode()).decode()
    url = f"{settings['base_url'].rstrip('/')}/v1/{what}"
    return HttpCall("POST", url, {"authorization": f"Basic {key}"}, json=payload)


segment = SegmentTracking()
