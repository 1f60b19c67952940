"""Lytics: one event per change into a data stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from regulars.base.plugins.fields import check_web_address

from ..calls import json_object, perform
from ..kind import DeletionRequest, DestinationKind, FieldUpdate, HttpCall, SegmentMessage, SendFailed, SettingField


class Lytics(DestinationKind):
    title = "Lytics"
    help = "Customers entering and leaving a segment, as events in a Lytics data stream."
    fields = (
        SettingField("api_key", "API key", "With the right to write data.", secret=True),
        SettingField("stream", "Data stream", default="regulars"),
        SettingField("base_url", "Address of the API", default="https://api.lytics.io"),
    )
    matches = ("email",)
    can_remove = True
    can_update = True
    account_settings = ("api_key",)
    has_preview = True

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_url")`."""
        check_web_address(settings["base_url"], "The address of the API")

    def calls(self, message: SegmentMessage, settings: Mapping[str, str]) -> list[HttpCall]:
        payload = {
            "message_id": message.id,
            "event": message.type,
            "segment": message.segment_slug,
            "segment_name": message.segment_name,
            **_person(message.user_id, message.match, message.at.isoformat()),
            **_traits(message.traits),
        }
        return [_collect(payload, settings)]

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        for call in self.calls(message, settings):
            _take(call)

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        """Delete the entity with all that it was sent. Unless it is an erasure, an event says so, without any attribute."""
        _delete(request.user_id, settings)
        if not request.erase:
            person = _person(request.user_id, {}, request.at.isoformat())
            _take(_collect({"message_id": request.id, "event": request.type, **person}, settings))

    def update(self, update: FieldUpdate, settings: Mapping[str, str]) -> None:
        """Send the new values as an event. Lytics empties no single field: there the entity is deleted and sent anew."""
        fields = update.fields
        if update.takes_away:
            _delete(update.user_id, settings)
            fields = update.current
        person = _person(update.user_id, update.new_match, update.at.isoformat())
        _take(_collect({"message_id": update.id, "event": update.type, **person, **_traits(fields)}, settings))


def _delete(user_id: str, settings: Mapping[str, str]) -> None:
    url = f"{settings['base_url'].rstrip('/')}/api/entity/user/user_id/{quote(user_id, safe='')}"
    perform(HttpCall("DELETE", url, _headers(settings)), accept=frozenset({404}))


def _traits(traits: Mapping[str, Any]) -> dict[str, Any]:
    """Lytics takes no objects inside arrays: they become text."""
    return {
        name: [str(each) if isinstance(each, dict | list) else each for each in value]
        if isinstance(value, list)
        else value
        for name, value in traits.items()
    }


def _person(user_id: str, match: Mapping[str, Any], at: str) -> dict[str, Any]:
    return {"user_id": user_id, **({"email": match["email"]} if "email" in match else {}), "timestamp": at}


def _collect(payload: dict[str, Any], settings: Mapping[str, str]) -> HttpCall:
    stream = quote(settings["stream"], safe="")
    url = f"{settings['base_url'].rstrip('/')}/collect/json/{stream}?timestamp_field=timestamp"
    return HttpCall("POST", url, _headers(settings), json=payload)


def _headers(settings: Mapping[str, str]) -> dict[str, str]:
    return {"authorization": settings["api_key"]}


def _take(call: HttpCall) -> None:
    """Make the call. A 200 with `rejected_count` above zero is a rejection."""
    data = json_object(perform(call)).get("data") or {}
    if isinstance(data, dict) and data.get("rejected_count"):
        raise SendFailed("rejected", "Lytics took the call and rejected the event.", permanent=True)


lytics = Lytics()
