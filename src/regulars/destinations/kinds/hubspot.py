"""HubSpot: a contact by e-mail, and a static list that follows a segment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from regulars.base.errors import Invalid
from regulars.base.plugins.fields import check_web_address

from ..calls import json_object, perform
from ..kind import DeletionRequest, DestinationKind, FieldUpdate, HttpCall, SegmentMessage, SendFailed, SettingField

_LIST = re.compile(r"\d{0,20}", re.ASCII)


class HubSpot(DestinationKind):
    title = "HubSpot"
    help = "Creates or updates the contact, and keeps a static list of the members of the segments."
    fields = (
        SettingField("token", "Access token", "Of a private app that may write contacts and lists.", secret=True),
        SettingField("list_id", "List id", "A static list. Empty: no list.", required=False),
        SettingField("base_url", "Address of the API", default="https://api.hubapi.com"),
    )
    needs = ("email",)
    default_mapping = (("given_name", "firstname", ""), ("family_name", "lastname", ""), ("city", "city", ""))
    targets = (
        ("firstname", "first name"),
        ("lastname", "last name"),
        ("phone", "phone number"),
        ("city", "city"),
        ("state", "region"),
        ("zip", "postal code"),
        ("country", "country"),
        ("company", "company"),
        ("jobtitle", "job title"),
    )
    is_idempotent = True
    latest_only = True
    batch_size = 100
    can_remove = True
    can_update = True
    account_settings = ("token",)
    has_preview = True

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_list" | "bad_url")`."""
        if not _LIST.fullmatch(settings["list_id"]):
            raise Invalid("bad_list", "A list id has digits only.")
        check_web_address(settings["base_url"], "The address of the API")

    def calls(self, message: SegmentMessage, settings: Mapping[str, str]) -> list[HttpCall]:
        calls = [_upsert([_input(str(message.match["email"]), message.traits, message.id)], settings)]
        if settings["list_id"]:
            calls.append(_membership(["{id of the contact}"], message.entered, settings))
        return calls

    def send(self, message: SegmentMessage, settings: Mapping[str, str]) -> None:
        first, *rest = self.calls(message, settings)
        contact = _contact(json_object(perform(first)))
        if rest:
            perform(_membership([contact], message.entered, settings))

    def send_batch(self, messages: Sequence[SegmentMessage], settings: Mapping[str, str]) -> None:
        """Send all contacts in one call, then add those who entered to the list and remove those who left."""
        inputs = [_input(str(each.match["email"]), each.traits, each.id) for each in messages]
        ids: dict[str, str] = {}  # by e-mail address in small letters, because HubSpot guarantees no order
        for result in _results(json_object(perform(_upsert(inputs, settings)))):
            if isinstance(result, dict) and "id" in result and isinstance(result.get("properties"), dict):
                ids[str(result["properties"].get("email", "")).lower()] = str(result["id"])
        for entered in (True, False) if settings["list_id"] else ():
            emails = [str(each.match["email"]).lower() for each in messages if each.entered == entered]
            if not ids.keys() >= set(emails):
                raise SendFailed("bad_answer", "HubSpot did not say which contacts these are.", permanent=True)
            if emails:
                perform(_membership([ids[email] for email in emails], entered, settings))

    def remove(self, request: DeletionRequest, settings: Mapping[str, str]) -> None:
        """Empty what was sent and remove from the list; for an erasure use HubSpot's GDPR deletion."""
        email = str(request.match["email"])
        if request.erase:
            payload = {"objectId": email, "idProperty": "email"}
            perform(_call("POST", "/crm/v3/objects/contacts/gdpr-delete", payload, settings), accept=frozenset({404}))
        elif settings["list_id"] or request.fields:
            emptied = dict.fromkeys(request.fields, "")
            contact = _contact(json_object(perform(_upsert([_input(email, emptied, request.id)], settings))))
            if settings["list_id"]:
                perform(_membership([contact], False, settings))
        else:
            raise SendFailed(
                "cannot_remove", "Without a list there is nothing to remove the customer from.", permanent=True
            )

    def update(self, update: FieldUpdate, settings: Mapping[str, str]) -> None:
        """Change the contact, found by the address that it was sent; an empty text empties a property."""
        email, now = str(update.match["email"]), str(update.new_match["email"])
        properties = {name: "" if value is None else _text(value) for name, value in update.fields.items()}
        changed = {"properties": {**properties, **({"email": now} if now != email else {})}}
        path = f"/crm/v3/objects/contacts/{quote(email, safe='')}?idProperty=email"
        perform(_call("PATCH", path, changed, settings), accept=frozenset({404}))


def _input(email: str, traits: Mapping[str, Any], trace: str) -> dict[str, Any]:
    properties = {"email": email, **{name: _text(value) for name, value in traits.items()}}
    return {"id": email, "idProperty": "email", "properties": properties, "objectWriteTraceId": trace}


def _upsert(inputs: list[dict[str, Any]], settings: Mapping[str, str]) -> HttpCall:
    return _call("POST", "/crm/v3/objects/contacts/batch/upsert", {"inputs": inputs}, settings)


def _membership(contacts: list[str], is_in: bool, settings: Mapping[str, str]) -> HttpCall:
    path = f"/crm/v3/lists/{settings['list_id']}/memberships/{'add' if is_in else 'remove'}"
    return _call("PUT", path, contacts, settings)


def _call(method: str, path: str, payload: Any, settings: Mapping[str, str]) -> HttpCall:
    headers = {"authorization": f"Bearer {settings['token']}"}
    return HttpCall(method, settings["base_url"].rstrip("/") + path, headers, json=payload)


def _text(value: Any) -> str:
    """Properties are text; several choices are joined by semicolons, true and false are small."""
    if isinstance(value, list):
        return ";".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _contact(payload: Any) -> str:
    """Return the contact's id."""
    results = _results(payload)
    if not results or not isinstance(results[0], dict) or "id" not in results[0]:
        raise SendFailed("bad_answer", "HubSpot did not say which contact it is.")
    return str(results[0]["id"])


def _results(payload: Any) -> list[Any]:
    """Return the results. A 207 is no success: `numErrors` counts the refused ones."""
    if isinstance(payload, dict) and (payload.get("numErrors") or payload.get("errors")):
        raise SendFailed("rejected", "HubSpot accepted the call and rejected a contact.", permanent=True)
    results = payload.get("results") if isinstance(payload, dict) else None
    return results if isinstance(results, list) else []


hubspot = HubSpot()
