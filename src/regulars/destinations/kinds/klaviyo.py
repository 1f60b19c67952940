"""Klaviyo: a profile, and a list that follows a segment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from regulars.base.errors import Invalid
from regulars.base.plugins.fields import check_web_address

from ..calls import json_object, perform
from ..kind import DeletionRequest, DestinationKind, FieldUpdate, HttpCall, SegmentMessage, SendFailed, SettingField

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
    confirms_erasure = False  # a job of theirs carries it out
    can_update = True
    account_settings = ("api_key",)
    has_preview = True

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_list" | "bad_url")`."""
        if not _LIST.fullmatch(settings["list_id"]):
            raise Invalid("bad_list", "A list id has letters and digits.")
        check_web_address(settings["base_url"], "The address of the API")

    def calls(self, message: SegmentMessage, settings: Mapping[str, str]) -> list[HttpCall]:
        properties = {f"in_{message.segment_slug}": message.entered}
        calls = [_import(str(message.match["email"]), message.traits, properties, settings)]
        if settings["list_id"]:
            calls.append(_on_list("{id of the profile}", "POST" if message.entered else "DELETE", settings))
        return calls

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        first, *rest = self.calls(message, settings)
        profile_id = _imported(first)
        for call in rest:
            perform(_on_list(profile_id, call.method, settings))

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        """Empty what was sent and suppress the profile, so that no mail is sent; for an erasure create a privacy deletion job."""
        email = str(request.match["email"])
        if request.erase:
            _erase(email, settings)
            return
        emptied = dict.fromkeys(request.fields)
        left = {f"in_{slug}": False for slug in request.segments}
        profile_id = _imported(_import(email, emptied, left, settings))
        if settings["list_id"] and request.segments:
            perform(_on_list(profile_id, "DELETE", settings))
        profile = {"type": "profile", "attributes": {"email": email}}
        payload = {"type": "profile-suppression-bulk-create-job", "attributes": {"profiles": {"data": [profile]}}}
        perform(_call("POST", "/api/profile-suppression-bulk-create-jobs", {"data": payload}, settings))

    def update(self, update: FieldUpdate, settings: Mapping[str, str]) -> None:
        """Import the changed fields, a null empties one; a new address is written by the id of the profile."""
        email, now = str(update.match["email"]), str(update.new_match["email"])
        profile_id = _imported(_import(email, update.fields, {}, settings))
        if now != email:
            profile = {"data": {"type": "profile", "id": profile_id, "attributes": {"email": now}}}
            call = _call("PATCH", f"/api/profiles/{profile_id}", profile, settings)
            if perform(call, accept=frozenset({409})).status == 409:  # a profile has the new address already
                perform(_import(now, update.current, {}, settings))
                _erase(email, settings)


def _erase(email: str, settings: Mapping[str, str]) -> None:
    profile = {"type": "profile", "attributes": {"email": email}}
    payload = {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": profile}}}
    perform(_call("POST", "/api/data-privacy-deletion-jobs", {"data": payload}, settings))


def _import(
    email: str, traits: Mapping[str, Any], properties: Mapping[str, Any], settings: Mapping[str, str]
) -> HttpCall:
    """Klaviyo's own fields stand at the top, everything else among the properties."""
    own = {name: value for name, value in traits.items() if name in OWN.values()}
    others = {name: value for name, value in traits.items() if name not in own}
    attributes = {"email": email, **own, "properties": {**others, **properties}}
    return _call("POST", "/api/profile-import", {"data": {"type": "profile", "attributes": attributes}}, settings)


def _imported(call: HttpCall) -> str:
    """Make the call and return the id of the profile."""
    data = json_object(perform(call)).get("data")
    profile_id = data.get("id") if isinstance(data, dict) else None
    if not isinstance(profile_id, str):
        raise SendFailed("bad_answer", "Klaviyo did not return the id of the profile.")
    return profile_id


def _on_list(profile_id: str, method: str, settings: Mapping[str, str]) -> HttpCall:
    payload = {"data": [{"type": "profile", "id": profile_id}]}
    return _call(method, f"/api/lists/{settings['list_id']}/relationships/profiles", payload, settings)


def _call(method: str, path: str, payload: Any, settings: Mapping[str, str]) -> HttpCall:
    headers = {"authorization": f"Klaviyo-API-Key {settings['api_key']}", "revision": REVISION}
    return HttpCall(method, settings["base_url"].rstrip("/") + path, headers, json=payload)


klaviyo = Klaviyo()
