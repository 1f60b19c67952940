"""The traits of an event that are attributes here: where they are, and how they are taken out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Q

from regulars.events.message_fields import ABOUT_TRAITS, TRAITS
from regulars.events.models import Event
from regulars.profiles.models import Attribute

Path = tuple[str, ...]
WITH_TRAITS = Q(type="identify") | Q(context__has_key="traits") | Q(message__has_key="traits")


def trait_paths() -> dict[Path, str]:
    """Return the path of each trait that is an attribute → the attribute."""
    declared: dict[Path, str] = {(key,): key for key in Attribute.objects.values_list("key", flat=True)}
    return declared | {tuple(path.split(".")): key for path, key in TRAITS.items()}


def traits_of(event: Event) -> list[dict[str, Any]]:
    """Return every object of an event that holds traits of the customer; those of a group are about the group."""
    found = [event.context.get("traits"), event.message.get("traits")]
    if event.type in ABOUT_TRAITS - {"group"}:
        found.append(event.properties)
    return [each for each in found if isinstance(each, dict)]


def remove_traits(
    traits: dict[str, Any], paths: Mapping[Path, str], is_kept: Callable[[str, Any], bool] = lambda key, value: False
) -> bool:
    """Take the traits at `paths` out, but those that `is_kept` (attribute, value) keeps. Returns whether any was there."""
    removed = False
    for (*parents, leaf), key in paths.items():
        within: Any = traits
        for parent in parents:
            within = within.get(parent) if isinstance(within, dict) else None
        if isinstance(within, dict) and leaf in within and not is_kept(key, within[leaf]):
            del within[leaf]
            removed = True
    return removed
