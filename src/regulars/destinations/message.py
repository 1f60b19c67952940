"""Compose the message about a customer, or say why not; used for sending and for the preview."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.base.plugins.fields import redacted
from regulars.consent.refusal_links import link_of_profile
from regulars.consent.uses import WHY_STOPPED, why_no_rows_for
from regulars.consent.view import WHY_NOT, may, view, withheld
from regulars.profiles.models import Profile

from .kind import KINDS, DestinationKind, HttpCall, SegmentMessage, match_attributes
from .mapping import TRANSFORMS, UNSUBSCRIBE, is_fixed, mapped
from .models import Destination

SegmentPurposes = Mapping[str, str]  # slug of a segment → its purpose


class MessageDropped(DomainError):
    """The message must not be sent: `no_consent`, `switched_off`, `nothing_to_match`, `overtaken`, or a key of `WHY_STOPPED`."""


@dataclass(frozen=True)
class MessageSubject:
    """The change that a message is about. Receivers recognise repetitions by `id`."""

    id: str
    at: dt.datetime
    segment_slug: str
    segment_name: str
    entered: bool


@dataclass(frozen=True)
class FieldOrigin:
    """What one field of a message was made of. `sent` is its value; `is_match`: it is sent for recognition only."""

    attribute: str
    transform: str
    fact_id: int | None
    sent: Any
    is_match: bool = False


@dataclass(frozen=True)
class ComposedMessage:
    """A message, and the origin of each of its fields. `purposes` have to be open when it leaves."""

    message: SegmentMessage
    sources: Mapping[str, FieldOrigin]
    purposes: tuple[str, ...]


@dataclass(frozen=True)
class WithheldField:
    """One attribute that would not be sent as `field`, with the name of the reason and its sentence."""

    attribute: str
    field: str
    name: str
    sentence: str


@dataclass(frozen=True)
class MessagePreview:
    """The message about one customer. `refused` is why none would be sent; secrets in `calls` are dots.

    `withheld` is what the mapping asks for and may not have.
    """

    refused: str = ""
    traits: Mapping[str, Any] | None = None
    match: Mapping[str, Any] | None = None
    calls: tuple[HttpCall, ...] = ()
    withheld: tuple[WithheldField, ...] = ()


def compose(
    destination: Destination,
    kind: DestinationKind,
    profile: Profile,
    subject: MessageSubject,
    segment_purposes: SegmentPurposes,
) -> ComposedMessage:
    """Compose the message as it may leave at this moment. Raises `MessageDropped`.

    Being in a segment is a use of the segment's own purpose too. Leaving it needs the destination's alone: it ends that use.
    """
    if not destination.enabled:
        raise MessageDropped("switched_off", "The destination is switched off.")
    of_segment = segment_purposes.get(subject.segment_slug) if subject.entered else None
    purposes = tuple(dict.fromkeys(filter(None, (destination.purpose_id, of_segment))))
    if why := why_no_rows_for(purposes):
        raise MessageDropped(why, WHY_STOPPED[why])
    for purpose in purposes:
        if not may(profile, purpose):
            raise MessageDropped("no_consent", f"The customer does not allow the purpose {purpose!r}.")
    permitted = view(profile, destination.purpose_id)
    lacking = [key for key in kind.needs if key not in permitted]
    if lacking:
        raise MessageDropped(
            "nothing_to_match", f"What the destination needs may not be used or is not known: {lacking[0]}."
        )
    values = {key: value.value for key, value in permitted.items()}
    lines = mapping_of(destination, kind)
    traits = values if lines is None else mapped(lines, {**values, **_own_fields(destination, profile, lines)})
    match = {key: values[key] for key in match_attributes(kind) if key in values}
    origin = {
        line["field"]: (line["attribute"], line["transform"])
        for line in lines or ({"field": name, "attribute": name, "transform": ""} for name in traits)
    }
    sources = {
        name: FieldOrigin(key, transform, permitted[key].fact_id, traits[name])
        for name, (key, transform) in origin.items()
        if name in traits and key in permitted
    }
    sources |= {
        key: FieldOrigin(key, "", permitted[key].fact_id, value, is_match=True)
        for key, value in match.items()
        if key not in sources
    }
    return ComposedMessage(
        SegmentMessage(user_id=profile.user_id, traits=traits, match=match, **vars(subject)), sources, purposes
    )


def _own_fields(destination: Destination, profile: Profile, lines: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return what a mapping may name beside attributes."""
    if not any(line["attribute"] == UNSUBSCRIBE for line in lines):
        return {}
    return {UNSUBSCRIBE: link_of_profile(profile, destination.purpose)}


def mapping_of(destination: Destination, kind: DestinationKind) -> list[dict[str, str]] | None:
    """Return the owner's mapping, else the kind's own. None: all usable traits are sent under their own names."""
    if destination.mapping:
        lines: list[dict[str, str]] = destination.mapping
        return lines
    own = kind.default_mapping
    return None if own is None else [dict(zip(("attribute", "field", "transform"), line, strict=True)) for line in own]


def preview_message(
    destination: Destination, profile: Profile, segment_purposes: SegmentPurposes, *, entered: bool = True
) -> MessagePreview:
    """Preview the message if the customer entered (or left) the destination's first segment now. Sends and keeps nothing."""
    slug = next(iter(destination.segment_slugs), "segment")
    subject = MessageSubject("msg_preview", clock.now(), slug, slug.replace("-", " ").capitalize(), entered)
    try:
        kind = KINDS[destination.kind]
        withheld_fields = _withheld(destination, kind, profile)
        message = compose(destination, kind, profile, subject, segment_purposes).message
    except MessageDropped as reason:
        return MessagePreview(refused=reason.message, withheld=withheld_fields)
    except DomainError as error:
        return MessagePreview(refused=error.message)
    calls = kind.calls(message, destination.settings)

    def clean(text: str) -> str:
        return redacted(text, kind.fields, destination.settings)

    shown = []
    for call in calls:
        headers = {
            name: "••••••••" if name.lower() == "authorization" else clean(value)
            for name, value in call.headers.items()
        }
        shown.append(HttpCall(call.method, clean(call.url), headers, content=clean(call.body).encode()))
    return MessagePreview(traits=message.traits, match=message.match, calls=tuple(shown), withheld=withheld_fields)


def _withheld(destination: Destination, kind: DestinationKind, profile: Profile) -> tuple[WithheldField, ...]:
    """Return what the mapping or the matching asks for and does not leave."""
    secret = withheld(profile, destination.purpose_id)
    values = {key: value.value for key, value in view(profile, destination.purpose_id).items()}
    lines = mapping_of(destination, kind)
    wanted = [(key, key, "") for key in secret] if lines is None else []
    wanted += [
        (line["attribute"], line["field"], line["transform"])
        for line in lines or ()
        if not (is_fixed(line) or line["attribute"] == UNSUBSCRIBE)
    ]
    wanted += [(key, key, "") for key in match_attributes(kind) if key not in {attribute for attribute, _, _ in wanted}]
    held = []
    for attribute, field, transform in wanted:
        if attribute in secret:
            held.append(WithheldField(attribute, field, secret[attribute], WHY_NOT[secret[attribute]]))
        elif attribute not in values:
            held.append(WithheldField(attribute, field, "unknown", "not known"))
        elif TRANSFORMS[transform][1](values[attribute]) is None:
            held.append(WithheldField(attribute, field, "does_not_fit", f"cannot be sent {TRANSFORMS[transform][0]}"))
    return tuple(held)
