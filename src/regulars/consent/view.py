"""The one gate. No code reads facts for a use except through `view(profile, purpose)`.

A fact passes iff it is live, its attribute lists the purpose, the customer stands on yes for the purpose (or its basis
needs no yes and she did not object), and every consent it was itself given under still stands.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.db import transaction

from regulars.base.conditions.terms import CONSENT_PATH, Terms, terms_of
from regulars.base.kit import clock
from regulars.base.kit.errors import Refused
from regulars.profiles.document import known
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
    return _permitted(profile, get_purpose(purpose), _Standing(profile, now), _facts(profile), _attributes(), now)


@transaction.atomic
def refresh_views(profile: Profile) -> dict[str, dict[str, Any]]:
    """Recompute every cached view of one profile. Returns purpose → {attribute: value} for the views that changed."""
    now = clock.now()
    before = {row.purpose_id: row for row in profile.permitted_views.all()}
    changed: dict[str, dict[str, Any]] = {}
    for purpose, traits, terms in _all_views(profile, now):
        row = before.get(purpose)
        if row is not None and row.traits == traits and row.terms == terms:
            continue
        PermittedView.objects.update_or_create(
            profile=profile,
            purpose_id=purpose,
            defaults={"traits": traits, "terms": terms, "refreshed_at": now, "lake_at": None},
        )
        changed[purpose] = traits
    return changed


def _all_views(profile: Profile, now: dt.datetime) -> Iterator[tuple[str, dict[str, Any], Terms]]:
    """(purpose, traits, terms) of every active purpose."""
    standing, facts, attributes = _Standing(profile, now), _facts(profile), _attributes()
    purposes = list(Purpose.objects.filter(active=True))
    open_purposes = sorted(purpose.key for purpose in purposes if standing.allows(purpose))
    for purpose in purposes:
        permitted = _permitted(profile, purpose, standing, facts, attributes, now)
        traits = {key: value.value for key, value in permitted.items()}
        yield purpose.key, traits, terms_of({**traits, CONSENT_PATH: open_purposes})


def may(profile: Profile, purpose: str) -> bool:
    """Whether this purpose is open for this customer now (enrichment and destinations ask before anything leaves)."""
    try:
        return _Standing(profile, clock.now()).allows(get_purpose(purpose))
    except Refused:
        return False


class _Standing:
    """Where one customer stands on every purpose at one instant."""

    def __init__(self, profile: Profile, now: dt.datetime) -> None:
        states = ConsentState.objects.filter(profile=profile).select_related("event")
        self.now = now
        self.states = {state.purpose_id: state for state in states}
        self.consents = dict(ConsentEvent.objects.filter(profile=profile).values_list("id", "purpose_id"))

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


def _facts(profile: Profile) -> list[Fact]:
    return list(profile.facts.filter(retracted_at=None))


def _attributes() -> dict[str, Attribute]:
    return {attribute.key: attribute for attribute in Attribute.objects.all()}


def _permitted(
    profile: Profile,
    purpose: Purpose,
    standing: _Standing,
    facts: list[Fact],
    attributes: dict[str, Attribute],
    now: dt.datetime,
) -> dict[str, Value]:
    if not standing.allows(purpose):
        return {}
    by_attribute: dict[str, list[KnownFact]] = {}
    for fact in facts:
        if _lists_purpose(attributes.get(fact.attribute), purpose, standing) and standing.covers(fact):
            by_attribute.setdefault(fact.attribute, []).append(known(fact))
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
