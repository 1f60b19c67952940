"""What a destination was sent of a customer, compared with what it may be sent now."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from regulars.base import clock
from regulars.profiles.resolve import Value

from .kind import KINDS, DestinationKind, maps_fields, match_attributes
from .mapping import TRANSFORMS
from .message import ComposedMessage
from .models import DisclosedField, Disclosure

USER_ID = "user_id"  # in a disclosure's `match`, beside attributes


@dataclass(frozen=True)
class FieldChanges:
    """Field → new value, None: it may not be used any more or is not known. The match as it was sent, and as it is now."""

    fields: Mapping[str, Any]
    match: Mapping[str, Any]
    new_match: Mapping[str, Any]
    current: Mapping[str, Any]
    # What the destination cannot recognise the customer without is gone.
    is_lost: bool

    def __bool__(self) -> bool:
        return bool(self.fields) or self.match != self.new_match


def fields_of(composed: ComposedMessage) -> dict[str, DisclosedField]:
    """Return the fields of a message as its disclosure keeps them: no value, but its fingerprint."""
    now = clock.now().isoformat()
    return {
        name: DisclosedField(
            attribute=origin.attribute,
            transform=origin.transform,
            fact=origin.fact_id,
            at=now,
            digest=digest_of(origin.sent),
            is_match=origin.is_match,
        )
        for name, origin in composed.sources.items()
    }


def changes_of(disclosure: Disclosure, permitted: Mapping[str, Value]) -> FieldChanges:
    """Compare what was sent with the permitted view of the purpose that it was sent for."""
    kind = kind_of(disclosure)
    values = {key: value.value for key, value in permitted.items()}
    fields, current = {}, {}
    for name in trait_fields(disclosure):
        sent: DisclosedField = disclosure.fields[name]
        attribute = sent["attribute"]
        value = TRANSFORMS[sent.get("transform", "")][1](values[attribute]) if attribute in values else None
        if value is not None:
            current[name] = value
        if value is None or _differs(sent, value, permitted[attribute]):
            fields[name] = value
    match = {key: value for key, value in disclosure.match.items() if key != USER_ID}
    new_match = {key: values[key] for key in match if key in values}
    is_lost = any(key in match and key not in values for key in kind.needs)
    return FieldChanges(fields, match, new_match, current, is_lost)


def trait_fields(disclosure: Disclosure) -> tuple[str, ...]:
    """Return the names of the fields that the destination stores, without those that it was sent to recognise the customer."""
    kind = kind_of(disclosure)

    def is_match(name: str, sent: DisclosedField) -> bool:
        if "is_match" in sent:
            return sent["is_match"]
        return not maps_fields(kind) or name in match_attributes(kind)  # sent by an earlier version

    return tuple(sorted(name for name, sent in disclosure.fields.items() if not is_match(name, sent)))


def kind_of(disclosure: Disclosure) -> DestinationKind:
    """Return the kind; one without any ability when its plug-in is not installed any more."""
    kind = disclosure.destination.kind
    return KINDS[kind] if kind in KINDS else DestinationKind()


def digest_of(value: Any) -> str:
    """Return a fingerprint under the server's secret key: a disclosure keeps no value that could be guessed from it."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hmac.new(f"regulars.disclosures:{settings.SECRET_KEY}".encode(), text.encode(), "sha256").hexdigest()


def _differs(sent: DisclosedField, value: Any, permitted: Value) -> bool:
    if "digest" in sent:
        return sent["digest"] != digest_of(value)
    return sent["fact"] != permitted.fact_id
