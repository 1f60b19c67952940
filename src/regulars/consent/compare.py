"""Compare what is cached of customers, their documents and permitted views, with a fresh fold of their facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from regulars.base import clock
from regulars.profiles.document import derive
from regulars.profiles.models import Profile

from .fold import YES
from .models import ConsentState, PermittedView
from .refresh import CONTENT, closed_for
from .status import ConsentStatus
from .view import has_outdated_views, live_facts, permitted_by_purpose

COLUMNS = ("closed_consents", "closed_interests")


def settled(profiles: QuerySet[Profile]) -> QuerySet[Profile]:
    """Leave out those of whom something is over already, by the time alone, and whom the worker recomputes within minutes."""
    now = clock.now()
    runs_out = ConsentState.objects.filter(profile=OuterRef("pk"), status__in=YES, expires_at__lte=now)
    due = Q(changes_at__lte=now) | Q(Exists(runs_out)) | Q(has_outdated_views())
    return profiles.filter(~due, merged_into=None)


def differences(profiles: Sequence[Profile]) -> dict[int, list[str]]:
    """Return profile id → names of fields that differ from a fresh fold, of customers where any does. Nothing is written.

    Names and no values: `document.email`, `personalise.traits.gender`. What another transaction writes between these queries
    may look like a difference; under the rows' locks it cannot.
    """
    now = clock.now()
    statuses, facts = ConsentStatus.of(profiles, now), live_facts(profiles)
    fresh = [copy(profile) for profile in profiles]
    for each in fresh:
        each.closed_consents, each.closed_interests = closed_for(statuses[each.pk], facts[each.pk])
    derive(fresh, now)
    found: dict[int, list[str]] = {}
    for stored, each in zip(profiles, fresh, strict=True):
        names = [name for name in COLUMNS if getattr(stored, name) != getattr(each, name)]
        found[stored.pk] = [*names, *_keys("document", stored.document, each.document)]
    views = {(row.profile_id, row.purpose_id): row for row in PermittedView.objects.filter(profile__in=profiles)}
    for permitted in permitted_by_purpose(fresh, statuses, facts):
        row = views.get((permitted.profile.pk, permitted.purpose))
        if row is None:
            # A view that was never computed permits nothing, as an empty one.
            names = [f"{permitted.purpose}.missing"] if permitted.traits else []
        else:
            names = [
                name
                for part in CONTENT
                for name in _keys(f"{permitted.purpose}.{part}", getattr(row, part), getattr(permitted, part))
            ]
        found[permitted.profile.pk] += names
    return {number: names for number, names in found.items() if names}


def _keys(where: str, stored: object, fresh: object) -> Iterator[str]:
    """Yield the names that differ in two JSON objects, or that of the whole where one is none."""
    if isinstance(stored, Mapping) and isinstance(fresh, Mapping):
        both: tuple[Mapping[str, Any], Mapping[str, Any]] = stored, fresh
        yield from (
            f"{where}.{key}" for key in sorted(stored.keys() | fresh.keys()) if _at(both[0], key) != _at(both[1], key)
        )
    elif stored != fresh:
        yield where


def _at(found: Mapping[str, Any], key: str) -> list[Any]:
    return [found[key]] if key in found else []
