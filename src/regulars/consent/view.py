"""The one gate. No code reads facts for a use except through `view(profile, purpose)`.

A fact passes iff it is live, its attribute lists the purpose, the customer stands on yes for the purpose (or its basis
needs no yes and she did not object), and every consent it was itself given under still stands.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q

from regulars.base.conditions.terms import CONSENT_PATH, Terms, terms_of
from regulars.base.kit import clock
from regulars.base.kit.errors import Refused
from regulars.profiles.document import known, put, user
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.profiles.resolve import KnownFact, Value, resolve

from .models import ConsentEvent, ConsentState, PermittedView, Purpose
from .purposes import get_purpose

YES = {ConsentEvent.Action.GIVEN, ConsentEvent.Action.IMPORTED}
NO_OBJECTION = YES | {ConsentEvent.Action.OBJECTION_LIFTED}


def view(profile: Profile, purpose: str, at: dt.datetime | None = None) -> dict[str, Value]:
    """What may be used of this customer for this purpose: attribute → winning permitted value.

    Raises `Refused("unknown_purpose")`. An empty answer means: nothing may be used.
    """
    now = at or clock.now()
    return _permitted(get_purpose(purpose), _Standing.of([profile], now)[profile.pk], _live([profile]), _attributes())


def views(profile: Profile) -> dict[str, dict[str, Any]]:
    """The same for every active purpose at once: purpose → attribute → value."""
    return {purpose: traits for _, purpose, traits, _ in _all_views([profile], clock.now())}


def served(profile: Profile) -> dict[str, Any]:
    """The user as tokens and rules see her: Auth0's shape, of what may be used to serve her account, and nothing else.

    Reads the cached view, which equals `view(profile, "serve")`: a login asks this every time.
    """
    traits = PermittedView.objects.filter(profile=profile, purpose="serve").values_list("traits", flat=True).first()
    paths = dict(Attribute.objects.exclude(metadata_path="").values_list("key", "metadata_path"))
    document: dict[str, Any] = {"identities": profile.document.get("identities", [])}
    for key, value in (traits or {}).items():
        put(document, paths.get(key, key), value)
    return user(profile, document)


def view_all(profiles: Sequence[Profile], purpose: str) -> dict[int, dict[str, Value]]:
    """The same for many profiles, in as many queries as for one: profile id → attribute → value (empty: nothing)."""
    found, now = get_purpose(purpose), clock.now()
    standings, facts, attributes = _Standing.of(profiles, now), _live(profiles), _attributes()
    return {profile.pk: _permitted(found, standings[profile.pk], facts, attributes) for profile in profiles}


@transaction.atomic
def refresh_views(profile: Profile) -> dict[str, dict[str, Any]]:
    """Recompute every cached view of one profile. Returns purpose → {attribute: value} for the views that changed."""
    return {row.purpose_id: row.traits for row in refresh_all_views([profile])}


@transaction.atomic
def refresh_all_views(profiles: Sequence[Profile]) -> list[PermittedView]:
    """The same for many profiles, in as many queries as for one. Returns the views that changed."""
    now = clock.now()
    before = {(row.profile_id, row.purpose_id): row for row in PermittedView.objects.filter(profile__in=profiles)}
    changed = []
    for profile, purpose, traits, terms in _all_views(profiles, now):
        row = before.get((profile.pk, purpose)) or PermittedView(profile=profile, purpose_id=purpose)
        if row.pk is None or row.traits != traits or row.terms != terms:
            row.traits, row.terms, row.refreshed_at, row.lake_at = traits, terms, now, None
            changed.append(row)
    PermittedView.objects.bulk_create(
        changed,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["profile", "purpose"],
        update_fields=["traits", "terms", "refreshed_at", "lake_at"],
    )
    return changed


def _all_views(profiles: Sequence[Profile], now: dt.datetime) -> Iterator[tuple[Profile, str, dict[str, Any], Terms]]:
    """(profile, purpose, traits, terms) for every active purpose."""
    facts = _live(profiles)
    standings, attributes = _Standing.of(profiles, now), _attributes()
    purposes = list(Purpose.objects.filter(active=True))
    for profile in profiles:
        standing = standings[profile.pk]
        open_purposes = sorted(purpose.key for purpose in purposes if standing.allows(purpose))
        for purpose in purposes:
            permitted = _permitted(purpose, standing, facts, attributes)
            traits = {key: value.value for key, value in permitted.items()}
            yield profile, purpose.key, traits, terms_of({**traits, CONSENT_PATH: open_purposes})


def may(profile: Profile, purpose: str) -> bool:
    """Whether this purpose is open for this customer now (enrichment and destinations ask before anything leaves)."""
    try:
        return _Standing.of([profile], clock.now())[profile.pk].allows(get_purpose(purpose))
    except Refused:
        return False


class _Standing:
    """Where one customer stands on every purpose at one instant."""

    def __init__(self, profile_id: int, now: dt.datetime) -> None:
        self.profile_id = profile_id
        self.now = now
        self.states: dict[str, ConsentState] = {}
        self.consents: dict[int, str] = {}  # consent event → purpose

    @classmethod
    def of(cls, profiles: Sequence[Profile], now: dt.datetime) -> dict[int, _Standing]:
        """Profile id → where she stands."""
        standings = {profile.pk: cls(profile.pk, now) for profile in profiles}
        for state in ConsentState.objects.filter(profile__in=profiles).select_related("event"):
            standings[state.profile_id].states[state.purpose_id] = state
        # A fact that came by a merge was given under a yes that stands in the ledger of the profile it came from.
        hers = Q(profile__in=profiles) | Q(profile__merged_into__in=profiles)
        given = ConsentEvent.objects.filter(hers).values_list(
            "profile_id", "profile__merged_into_id", "id", "purpose_id"
        )
        for profile_id, merged_into, event_id, purpose in given:
            standings[merged_into or profile_id].consents[event_id] = purpose
        return standings

    def allows(self, purpose: Purpose) -> bool:
        match purpose.basis:
            case Purpose.Basis.CONTRACT:
                return True
            case Purpose.Basis.LEGITIMATE_INTEREST:
                state = self.states.get(purpose.key)
                return state is None or state.status in NO_OBJECTION
        return self.stands(purpose.key)

    def stands(self, purpose_key: str) -> bool:
        state = self.states.get(purpose_key)
        return state is not None and state.status in YES and not (state.expires_at and state.expires_at <= self.now)

    def covers(self, fact: Fact) -> bool:
        """Every consent the fact was given under still stands (a fact given under none needs none of its own)."""
        return all(self.stands(self.consents.get(consent, "")) for consent in fact.consents)


def _live(profiles: Sequence[Profile]) -> dict[int, list[Fact]]:
    """Profile id → the facts nobody took back."""
    found: dict[int, list[Fact]] = {profile.pk: [] for profile in profiles}
    for fact in Fact.objects.filter(profile__in=profiles, retracted_at=None):
        found[fact.profile_id].append(fact)
    return found


def _attributes() -> dict[str, Attribute]:
    return {attribute.key: attribute for attribute in Attribute.objects.all()}


def _permitted(
    purpose: Purpose, standing: _Standing, facts: dict[int, list[Fact]], attributes: dict[str, Attribute]
) -> dict[str, Value]:
    if not standing.allows(purpose):
        return {}
    by_attribute: dict[str, list[KnownFact]] = {}
    for fact in facts[standing.profile_id]:
        if _lists_purpose(attributes.get(fact.attribute), purpose, standing) and standing.covers(fact):
            by_attribute.setdefault(fact.attribute, []).append(known(fact))
    now = standing.now
    resolved = {key: resolve(rows, now, _half_life(attributes.get(key))) for key, rows in by_attribute.items()}
    return {key: value for key, value in resolved.items() if value is not None}


def _lists_purpose(attribute: Attribute | None, purpose: Purpose, standing: _Standing) -> bool:
    """Undeclared attributes serve the account only; special ones want an explicit yes to the very purpose."""
    if attribute is None:
        return purpose.key == "serve"
    if purpose.key not in attribute.purposes:
        return False
    if attribute.sensitivity != Attribute.Sensitivity.SPECIAL:
        return True
    state = standing.states.get(purpose.key)
    return state is not None and state.event.explicit and standing.stands(purpose.key)


def _half_life(attribute: Attribute | None) -> int | None:
    return attribute.half_life_days if attribute else None
