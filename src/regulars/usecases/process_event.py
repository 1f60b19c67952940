"""Process the inbox: turn each message into an event of a customer, with the facts it brings. One transaction each.

A message that can never become an event stays in the inbox with the reason.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import time
from typing import Any

from django.db import DatabaseError, DataError, connection, transaction

from regulars.base import clock
from regulars.base.text import storable
from regulars.events.models import InboxItem
from regulars.profiles.attributes import is_an_apps
from regulars.profiles.find import add_identity, find_by_identity, find_by_user_id, get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Attribute

from .merge import ANONYMOUS, is_only_a_visitor, merge
from .unit_of_work import changes

log = logging.getLogger("regulars.events")

EXTERNAL = "external"  # an id of the company's own
TIME_SLICE = 0.1  # seconds a transaction over the inbox may hold SQLite's only write lock
CHUNK = 50
MAX_ID = 255
MISSING_ID = re.compile(r"[0-]*|-1|null|undefined|anonymous", re.IGNORECASE)
NAMES = {
    "page": "Page Viewed",
    "screen": "Screen Viewed",
    "identify": "Identified",
    "group": "Group Joined",
    "alias": "Alias Given",
}
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
# Attributes that must be proved, or that apps keep. A write key is public: every visitor of the shop can read it.
NOT_BY_EVENT = {"email_verified", "phone_verified", "username"}


def process_inbox() -> int:
    """Turn waiting messages into events for about `TIME_SLICE` seconds. Returns how many were processed.

    Any number of workers may do this at once: each takes rows that no other has locked.
    """
    with transaction.atomic():
        until = time.monotonic() + TIME_SLICE
        count = 0
        items = InboxItem.objects.filter(processed_at=None).order_by("id")
        if connection.features.has_select_for_update_skip_locked:
            items = items.select_for_update(skip_locked=True, of=("self",))
        for item in items.select_related("source")[:CHUNK]:
            try:
                with transaction.atomic():
                    process_message(item)
            except Exception as fault:  # an unforeseen message must not block those behind it
                if isinstance(fault, DatabaseError) and not isinstance(fault, DataError):
                    raise  # not the message's fault: the whole transaction is tried again later
                log.exception("message %s cannot become an event", item.pk)
                item.rejected = f"failed:{type(fault).__name__}"[:64]
            item.processed_at = clock.now()
            item.save(update_fields=["processed_at", "rejected"])
            count += 1
            if time.monotonic() > until:
                break
    return count


def process_message(item: InboxItem) -> None:
    """Turn one message into an event of a customer. A message without an id is rejected with "no_id"."""
    message: dict[str, Any] = storable(json.loads(item.body))
    user_id = _id(message.get("userId"))
    visitor_id = _id(message.get("anonymousId")) or _id(message.get("previousId"))
    if user_id:  # it counts before the id of a browser
        profile = find_by_user_id(user_id) or get_or_create_by_identity(EXTERNAL, user_id)[0]
    elif visitor_id:
        profile = get_or_create_by_identity(ANONYMOUS, visitor_id)[0]
    else:
        item.rejected = "no_id"
        return
    visitor = find_by_identity(ANONYMOUS, visitor_id) if user_id and visitor_id else None
    with changes([profile, visitor] if visitor else [profile], "event") as c:
        # The visitor's events become the customer's. A browser of another customer changes nothing between the two.
        if user_id and visitor_id and visitor is None:
            add_identity(c.profile, ANONYMOUS, visitor_id)
        elif visitor and visitor.pk != c.profile.pk and is_only_a_visitor(visitor):
            merge(visitor, into=c.profile)
        c.learn(facts_from(message, f"app:{item.source.slug}"))
        event = c.record_event(
            name_of(message, item.type),
            properties_of(message, item.type),
            at=corrected(message.get("timestamp"), item.sent_at, item.received_at),
            type=item.type,
            message_id=item.message_id,
            source=item.source,
            context=_object(message.get("context")),
            received_at=item.received_at,
        )
        if c.profile.last_seen_at is None or c.profile.last_seen_at < event.at:
            c.profile.last_seen_at = event.at
            c.profile.save(update_fields=["last_seen_at"])


def facts_from(message: dict[str, Any], source: str) -> list[NewFact]:
    """Return facts for the traits that are attributes here. Other traits stay on the event."""
    traits = {**_object(_object(message.get("context")).get("traits")), **_object(message.get("traits"))}
    if not traits or message.get("type") == "group":
        return []
    found = {key: value for path, key in TRAITS.items() if (value := _inside(traits, path)) is not None}
    attributes = Attribute.objects.filter(key__in=traits).values_list("key", "metadata_path")
    declared = {key for key, path in attributes if not is_an_apps(key, path)} - NOT_BY_EVENT
    found |= {key: traits[key] for key in declared if key not in found}
    return [
        NewFact(key, value, "observed", source, basis="legitimate_interest")
        for key, value in found.items()
        if isinstance(value, str | int | float | bool) and value != ""
    ]


def name_of(message: dict[str, Any], type_: str) -> str:
    return str(message.get("event", "")).strip() if type_ == "track" else NAMES[type_]


def properties_of(message: dict[str, Any], type_: str) -> dict[str, Any]:
    """Return the properties: a page's own name and category are properties of its view, traits those of identify."""
    if type_ in ("identify", "group"):
        return _object(message.get("traits"))
    named = {key: message[key] for key in ("name", "category") if type_ in ("page", "screen") and message.get(key)}
    return {**named, **_object(message.get("properties"))}


def corrected(timestamp: Any, sent_at: str, received_at: dt.datetime) -> dt.datetime:
    """Return the time of the event by our clock: of the sender's clock only differences count. Never in the future."""
    at = _moment(timestamp)
    if at is None:
        return received_at
    sent = _moment(sent_at)
    try:
        moment = received_at - (sent - at) if sent else at
    except OverflowError:
        return received_at
    return received_at if moment > received_at or moment.year < 1970 else moment


def _moment(text: Any) -> dt.datetime | None:
    if not isinstance(text, str):
        return None
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)


def _id(value: Any) -> str:
    """Return an id as text; empty for the placeholders that SDKs send without one."""
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    return "" if MISSING_ID.fullmatch(text) else text[:MAX_ID]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _inside(traits: dict[str, Any], path: str) -> Any:
    for part in path.split("."):
        traits = _object(traits).get(part)  # type: ignore[assignment]
    return traits
