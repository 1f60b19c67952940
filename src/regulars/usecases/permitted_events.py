"""Events of a customer as a reader may see them: none once their basis is closed, and no trait whose fact is closed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from regulars.consent.view import EventUse, uses_of_events, view
from regulars.events.models import Event
from regulars.events.read import timeline
from regulars.profiles.models import Profile
from regulars.profiles.values import comparable

from .event_traits import remove_traits, trait_paths, traits_of


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
    if any(traits_of(event) for event in events):
        _leave_out_closed_traits(profile, purpose, events)
    return PermittedEvents(events, use)


def _leave_out_closed_traits(profile: Profile, purpose: str, events: Iterable[Event]) -> None:
    usable = {(key, comparable(each.value)) for key, each in view(profile, purpose).items()}
    paths = trait_paths()
    for event in events:
        for traits in traits_of(event):
            remove_traits(traits, paths, lambda key, value: (key, comparable(value)) in usable)
