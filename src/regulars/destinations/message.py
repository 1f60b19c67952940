"""What would be told of a customer now, and why not: the same for sending and for looking before it is sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regulars.base import clock
from regulars.base.errors import DomainError
from regulars.base.plugins.fields import redacted
from regulars.consent.view import WHY_NOT, may, view, withheld
from regulars.profiles.models import Profile
from regulars.profiles.resolve import Value

from .kind import KINDS, Call, DestinationKind, Message, Shows, known_by
from .mapping import TRANSFORMS, is_fixed, mapped
from .models import Destination


class Dropped(DomainError):
    """The message is not to be sent: `no_consent`, `switched_off`, `nothing_to_match`, `overtaken`."""


@dataclass(frozen=True)
class News:
    """What a message is about. `id` is what the receiver tells repetitions by."""

    id: str
    at: dt.datetime
    segment_slug: str
    segment_name: str
    entered: bool


@dataclass(frozen=True)
class Told:
    """A message, and where each of its fields comes from: field → the value that won."""

    message: Message
    sources: Mapping[str, tuple[str, Value]]


@dataclass(frozen=True)
class Held:
    """One attribute that would not be told under `field`, the reason's name, and the same for people."""

    attribute: str
    field: str
    name: str
    sentence: str


@dataclass(frozen=True)
class Preview:
    """What one customer's message would be. `refused` says why nothing would leave; secrets in `calls` are dots.

    `held` is what the mapping asks for and does not get of her.
    """

    refused: str = ""
    traits: Mapping[str, Any] | None = None
    match: Mapping[str, Any] | None = None
    calls: tuple[Call, ...] = ()
    held: tuple[Held, ...] = ()


def compose(destination: Destination, kind: DestinationKind, profile: Profile, news: News) -> Told:
    """The message as it may leave at this moment. Raises `Dropped`."""
    if not destination.enabled:
        raise Dropped("switched_off", "The destination is switched off.")
    if not may(profile, destination.purpose_id):
        raise Dropped("no_consent", f"The customer does not allow the purpose {destination.purpose_id!r}.")
    permitted = view(profile, destination.purpose_id)
    lacking = [key for key in kind.needs if key not in permitted]
    if lacking:
        raise Dropped("nothing_to_match", f"What the destination needs may not be used or is not known: {lacking[0]}.")
    values = {key: value.value for key, value in permitted.items()}
    lines = mapping_of(destination, kind)
    traits = values if lines is None else mapped(lines, values)
    match = {key: values[key] for key in known_by(kind) if key in values}
    origin = {name: name for name in traits} if lines is None else {line["field"]: line["attribute"] for line in lines}
    sources = {name: (origin[name], permitted[origin[name]]) for name in traits if origin[name] in permitted}
    sources |= {key: (key, permitted[key]) for key in match if key not in sources}
    return Told(Message(user_id=profile.user_id, traits=traits, match=match, **vars(news)), sources)


def mapping_of(destination: Destination, kind: DestinationKind) -> list[dict[str, str]] | None:
    """Its owner's lines, else the kind's own. None: everything that may be used is told under its own name."""
    if destination.mapping:
        lines: list[dict[str, str]] = destination.mapping
        return lines
    own = getattr(kind, "default_mapping", None)
    return None if own is None else [dict(zip(("attribute", "field", "transform"), line, strict=True)) for line in own]


def preview(destination: Destination, profile: Profile, *, entered: bool = True) -> Preview:
    """What would leave if she entered (or left) the first segment of the destination now. Calls nobody, keeps nothing."""
    slug = next(iter(destination.segment_slugs), "segment")
    news = News("msg_preview", clock.now(), slug, slug.replace("-", " ").capitalize(), entered)
    try:
        kind = KINDS[destination.kind]
        held = _held(destination, kind, profile)
        message = compose(destination, kind, profile, news).message
    except Dropped as no:
        return Preview(refused=no.message, held=held)
    except DomainError as no:
        return Preview(refused=no.message)
    calls = kind.calls(message, destination.settings) if isinstance(kind, Shows) else []
    shown = tuple(_without_secrets(call, kind, destination) for call in calls)
    return Preview(traits=message.traits, match=message.match, calls=shown, held=held)


def _held(destination: Destination, kind: DestinationKind, profile: Profile) -> tuple[Held, ...]:
    """What is asked for, by the mapping or to know her by, and does not leave."""
    secret = withheld(profile, destination.purpose_id)
    values = {key: value.value for key, value in view(profile, destination.purpose_id).items()}
    lines = mapping_of(destination, kind)
    wanted = [(key, key, "") for key in secret] if lines is None else []
    wanted += [(line["attribute"], line["field"], line["transform"]) for line in lines or () if not is_fixed(line)]
    wanted += [(key, key, "") for key in known_by(kind) if key not in {attribute for attribute, _, _ in wanted}]
    held = []
    for attribute, field, transform in wanted:
        if attribute in secret:
            held.append(Held(attribute, field, secret[attribute], WHY_NOT[secret[attribute]]))
        elif attribute not in values:
            held.append(Held(attribute, field, "unknown", "not known of her"))
        elif TRANSFORMS[transform][1](values[attribute]) is None:
            held.append(Held(attribute, field, "does_not_fit", f"cannot be told {TRANSFORMS[transform][0]}"))
    return tuple(held)


def _without_secrets(call: Call, kind: DestinationKind, destination: Destination) -> Call:
    def clean(text: str) -> str:
        return redacted(text, kind.fields, destination.settings)

    headers = {
        name: "••••••••" if name.lower() == "authorization" else clean(value) for name, value in call.headers.items()
    }
    return Call(call.method, clean(call.url), headers, content=clean(call.body).encode())
