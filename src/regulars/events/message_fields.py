"""Take a message apart: every field that its sender wrote is kept on the event, in one of three places.

`properties` are what the call is about: the traits of identify and group, the properties of the others. `context` is the
context. `message` has all other fields under their own names: ids, integrations, times, channel, what an SDK adds.
"""

from __future__ import annotations

from typing import Any

MAX_NAME = 255  # characters of an event's name
NAMES = {
    "page": "Page Viewed",
    "screen": "Screen Viewed",
    "identify": "Identified",
    "group": "Group Joined",
    "alias": "Alias Given",
}
ABOUT_TRAITS = frozenset({"identify", "group"})
# Segment's reserved traits → our attributes; a dotted path leads into nested ones.
TRAITS = {
    "email": "email",
    "name": "name",
    "firstName": "given_name",
    "first_name": "given_name",
    "lastName": "family_name",
    "last_name": "family_name",
    "gender": "gender",
    "birthday": "birthdate",
    "phone": "phone_number",
    "avatar": "picture",
    "address.city": "city",
    "address.postalCode": "postal_code",
    "address.postal_code": "postal_code",
    "address.country": "country",
}
# Columns of the event, or nothing to keep: `writeKey` is public and only names the source.
NOT_KEPT = frozenset({"writeKey", "messageId", "type"})


def name_of(message: dict[str, Any]) -> str:
    """Return the name of a track event."""
    return str(message.get("event", "")).strip()


def marks_of(message: dict[str, Any], type_: str) -> list[str]:
    return ["name_cut"] if type_ == "track" and len(name_of(message)) > MAX_NAME else []


def rest_of(message: dict[str, Any], type_: str) -> dict[str, Any]:
    """Return the fields that are neither the name, the properties nor the context of an event."""
    about = "traits" if type_ in ABOUT_TRAITS else "properties"
    taken = {name for name in (about, "context") if isinstance(message.get(name), dict)}
    if type_ == "track" and len(name_of(message)) <= MAX_NAME:
        taken.add("event")
    return {key: value for key, value in message.items() if key not in NOT_KEPT | taken and value is not None}


def properties_of(message: dict[str, Any], type_: str) -> dict[str, Any]:
    """Return the properties: a page's own name and category are properties of its view, a group's id one of its traits."""
    if type_ in ABOUT_TRAITS:
        named = {"groupId": message["groupId"]} if type_ == "group" and message.get("groupId") else {}
        return {**named, **as_object(message.get("traits"))}
    named = {key: message[key] for key in ("name", "category") if type_ in ("page", "screen") and message.get(key)}
    return {**named, **as_object(message.get("properties"))}


def as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
