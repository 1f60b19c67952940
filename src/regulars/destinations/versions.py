"""Versions of a destination: where it was, for which purpose and under which name, when data was sent to it."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from regulars.base.plugins.fields import host_of

from .kind import KINDS
from .models import Destination, DestinationVersion


def version_of(destination: Destination) -> DestinationVersion:
    """Return the destination as it is now. A change of name, purpose or settings makes a new version; going back does not.

    Where only a secret was replaced that names no account, the version takes the new one: the place is the same.
    """
    current = destination.current_version
    if current is not None and _is(current, destination):
        return current
    with transaction.atomic():
        Destination.objects.select_for_update().get(pk=destination.pk)
        found = None
        for version in destination.versions.order_by("id"):
            if not is_same_place(destination.kind, version.settings, destination.settings):
                continue
            if version.settings != destination.settings:
                version.settings = destination.settings
                version.save(update_fields=["settings"])
            if (version.name, version.purpose_id) == (destination.name, destination.purpose_id):
                found = version
        if found is None:
            found = destination.versions.create(
                name=destination.name, settings=destination.settings, purpose_id=destination.purpose_id
            )
        Destination.objects.filter(pk=destination.pk).update(current_version=found)
    destination.current_version = found
    return found


def is_same_place(kind: str, one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Return whether both settings lead to the same store of data: the same address, list, file and account."""
    if one == other:
        return True
    if kind not in KINDS:
        return False
    plugin = KINDS[kind]
    if plugin.place(one) != plugin.place(other):
        return False
    secret = {field.key for field in plugin.fields if field.secret} - set(plugin.account_settings)
    return all(
        one.get(key) == other.get(key)
        for key in one.keys() | other.keys()
        if key not in secret or host_of(one.get(key, "")) or host_of(other.get(key, ""))
    )


def leads_to_same_address(kind: str, one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Return whether settings differ in secrets alone, such as a key that was replaced."""
    if kind not in KINDS:
        return False
    secret = {field.key for field in KINDS[kind].fields if field.secret}
    return KINDS[kind].place(one) == KINDS[kind].place(other) and all(
        one.get(key) == other.get(key) for key in (one.keys() | other.keys()) - secret
    )


def _is(version: DestinationVersion, destination: Destination) -> bool:
    return (version.name, version.purpose_id, version.settings) == (
        destination.name,
        destination.purpose_id,
        destination.settings,
    )
