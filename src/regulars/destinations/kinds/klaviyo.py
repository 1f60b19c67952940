"""Klaviyo: a profile, and a list that follows a segment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from regulars.base.errors import Invalid
from regulars.base.plugins.fields import check_web_address

from ..calls import json_object, perform
from ..kind import DeletionRequest, DestinationKind, HttpCall, SegmentMessage, SendFailed, SettingField

REVISION = "2026-07-15"
_LIST = re.compile(r"[A-Za-z0-9]{0,40}")
OWN = {"email": "email", "phone_number": "phone_number", "given_name": "first_name", "family_name": "last_name"}


class Klaviyo(DestinationKind):
    title = "Klaviyo"
    help = "Keeps the profile up to date, with the segments as properties, and a list of their members."
    fields = (
        SettingField("api_key", "Private API key", secret=True),
        SettingField("list_id", "List id", "Those who are in the segments are on it. Empty: no list.", required=False),
        SettingField("base_url", "Address of the API", default="https://a.klaviyo.com"),
    )
    needs = ("email",)
    default_mapping = (("given_name", "first_name", ""), ("family_name", "last_name", ""), ("city", "city", ""))
    targets = (
        ("first_name", "first name"),
        ("last_name", "last name"),
        ("phone_number", "in E.164, with its +"),
        ("city", "a property of the profile, as every other name is"),
    )
    is_idempotent = True
    latest_only = True
    can_remove = True
    has_preview = True

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_list" | "bad_url")`."""
        if not _LIST.fullmatch(settings["list_id"]):
            raise Invalid("bad_list", "A list id has letters and digits.")
        check_web_address(settings["base_url"], "The address of the API")

    def calls(self, message: SegmentMessage, settings: Mapping[str, str]) -> list[HttpCall]:
        # Klaviyo's own fields stand at the top, everything else among the properties.
        own = {name: value for name, value in message.traits.items() if name in OWN.values()}
        others = {name: value for name, value in message.traits.items() if name not in own}
        properties = {**others, f"in_{message.segment_slug}": message.entered}
        attributes = {"email": str(message.match["email"]), **own, "properties": properties}
        profile = {"data": {"type": "profile", "attributes": attributes}}
        calls = [_call("POST", "/api/profile-import", profile, settings)]
        if settings["list_id"]:
            calls.append(_on_list("{id of the profile}", "POST" if message.entered else "DELETE", settings))
        return calls

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        first, *rest = self.calls(message, settings)
        data = json_object(perform(first)).get("data")
        profile_id = data.get("id") if isinstance(data, dict) else None
        if not isinstance(profile_id, str):
            raise SendFailed("bad_answer", "Klaviyo did not return the id of the profile.")
        for call in rest:
            perform(_on_list(profile_id, call.method, settings))

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        """Suppress the profile, so that no mail is sent; for an erasure create a privacy deletion job."""
        profile = {"type": "profile", "attributes": {"email": request.match["email"]}}
        if request.erase:
            payload = {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": profile}}}
            perform(_call("POST", "/api/data-privacy-deletion-jobs", {"data": payload}, settings))
            return
        payload = {"type": "profile-suppression-bulk-create-job", "attributes": {"profiles": {"data": [profile]}}}
        perform(_call("POST", "/api/profile-suppression-bulk-create-jobs", {"data": payload}, settings))


def _on_list(profile_id: str, method: str, settings: Mapping[str, str]) -> HttpCall:
    payload = {"data": [{"type": "profile", "id": profile_id}]}
    return _call(method, f"/api/lists/{settings['list_id']}/relationships/profiles", payload, settings)


def _call(method: str, path: str, payload: Any, settings: Mapping[str, str]) -> HttpCall:
    headers = {"authorization": f"Klaviyo-API-Key {settings['api_key']}", "revision": REVISION}
    return HttpCall(method, settings["base_url"].rstrip("/") + path, headers, json=payload)


klaviyo = Klaviyo()
