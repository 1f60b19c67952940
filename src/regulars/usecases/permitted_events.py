"""Events of a customer as a reader may see them: none once their basis is closed, and no trait whose fact is closed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from regulars.consent.view import EventUse, uses_of_events, view
from regulars.events.message_fields import ABOUT_TRAITS
from regulars.events.models import Event
from regulars.events.read import timeline
from regulars.profiles.models import Attribute, Profile
from regulars.profiles.values import comparable

from .process_event import TRAITS


@dataclass(frozen=True)
class PermittedEvents:
    """Events as a reader may see them, newest first, and which kinds of events may be used."""

    events: list[Event]
    use: EventUse


def permitted_events(
    profile: Profile, purpose: str, limit: int = 50, before: dt.datetime | None = None
) -> PermittedEvents:
    """Return at most `limit` events that may be used for a purpose, changed for reading: do not save them.

    A trait that is an attribute stays only while its value is the one that may be used: what a customer withdrew, deleted or
    corrected is not read from the message that brought it. Raises `Invalid("unknown_purpose")`.
    """
    use = uses_of_events([profile], purpose)[profile.pk]
    events = timeline(profile.pk, limit, before, own=use.own, sent=use.sent)
    if any(_traits_of(event) for event in events):
        _leave_out_closed_traits(profile, purpose, events)
    return PermittedEvents(events, use)


def _leave_out_closed_traits(profile: Profile, purpose: str, events: Iterable[Event]) -> None:
    usable = {(key, comparable(each.value)) for key, each in view(profile, purpose).items()}
    declared = Attribute.objects.values_list("key", flat=True)
    names: dict[tuple[str, ...], str] = {(key,): key for key in declared}
    names |= {tuple(path.split(".")): key for path, key in TRAITS.items()}
    for event in events:
        for traits in _traits_of(event):
            for path, key in names.items():
                _remove_unless(traits, path, key, usable)


def _traits_of(event: Event) -> list[dict[str, Any]]:
    """Return every object of an event that holds traits of the customer; those of a group are about the group."""
    found = [event.context.get("traits"), event.message.get("traits")]
    if event.type in ABOUT_TRAITS - {"group"}:
        found.append(event.properties)
    return [each for each in found if isinstance(each, dict)]


def _remove_unless(traits: dict[str, Any], path: Sequence[str], key: str, usable: Collection[tuple[str, str]]) -> None:
    *parents, leaf = path
    for parent in parents:
        within = traits.get(parent)
        if not isinstance(within, dict):
            return
        traits = within
    if leaf in traits and (key, comparable(traits[leaf])) not in usable:
        del traits[leaf]
