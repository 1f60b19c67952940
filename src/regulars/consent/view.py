"""The one gate. No code reads facts for a use except through `view(profile, purpose)`.

A fact passes iff it is live, its attribute lists the purpose, the customer stands on yes for the purpose (or its basis
needs no yes and she did not object), and every consent it was itself given under still stands.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery

from regulars.base import clock
from regulars.base.conditions.document_terms import CONSENT_PATH, Terms, terms_of
from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.errors import DomainError
from regulars.profiles.document import known, put, rebuild_all, user, winners
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.profiles.resolve import KnownFact, Value, resolve_all

from .models import PermittedView, Purpose
from .purposes import get_purpose
from .status import ConsentStatus

BROUGHT = "traits_to_serve"  # on a customer of `to_serve`
# Why something that is known may not be used for a purpose, for people.
WHY_NOT = {
    "not_allowed": "she does not allow the purpose",
    "not_for_this": "it is not meant for this purpose",
    "needs_explicit_yes": "it is special: that needs her explicit yes to this very purpose",
    "yes_is_over": "it was told under a yes that no longer stands",
}

_traits_to_serve = CompiledQuery(
    lambda: PermittedView.objects.filter(profile_id=param("profile"), purpose="serve").values_list("traits", flat=True)
)
_metadata_paths = CompiledQuery(lambda: Attribute.objects.exclude(metadata_path="").values_list("key", "metadata_path"))


def view(profile: Profile, purpose: str, at: dt.datetime | None = None) -> dict[str, Value]:
    """What may be used of this customer for this purpose: attribute → winning permitted value.

    Raises `Invalid("unknown_purpose")`. An empty answer means: nothing may be used.
    """
    now = at or clock.now()
    return _permitted(
        get_purpose(purpose), ConsentStatus.of([profile], now)[profile.pk], _live([profile]), _attributes()
    )


def withheld(profile: Profile, purpose: str) -> dict[str, str]:
    """What is known of her and does not pass for this purpose: attribute → why, a key of `WHY_NOT`."""
    found, now = get_purpose(purpose), clock.now()
    standing, attributes, facts = ConsentStatus.of([profile], now)[profile.pk], _attributes(), _live([profile])
    passed = _permitted(found, standing, facts, attributes)
    everything = winners(facts[profile.pk], attributes, now)
    return {key: _why_not(attributes.get(key), found, standing) for key in everything if key not in passed}


def views(profile: Profile) -> dict[str, dict[str, Any]]:
    """The same for every active purpose at once: purpose → attribute → value."""
    return {purpose: traits for _, purpose, traits, _ in _all_views([profile], clock.now())}


def served(profile: Profile) -> dict[str, Any]:
    """The user as tokens and rules see her: Auth0's shape, of what may be used to serve her account, and nothing else.

    Reads the cached view, which equals `view(profile, "serve")`: a login asks this every time.
    """
    brought = hasattr(profile, BROUGHT)
    traits = getattr(profile, BROUGHT) if brought else _traits_to_serve.first(profile=profile.pk)
    paths = dict(_metadata_paths.all())
    document: dict[str, Any] = {"identities": profile.document.get("identities", [])}
    for key, value in (traits or {}).items():
        put(document, paths.get(key, key), value)
    return user(profile, document)


def to_serve(customers: QuerySet[Profile]) -> QuerySet[Profile]:
    """The same customers, who bring along in one query what `served` would read for each."""
    views = PermittedView.objects.filter(profile=OuterRef("pk"), purpose="serve")
    return customers.annotate(**{BROUGHT: Subquery(views.values("traits"))})


def view_all(profiles: Sequence[Profile], purpose: str) -> dict[int, dict[str, Value]]:
    """The same for many profiles, in as many queries as for one: profile id → attribute → value (empty: nothing)."""
    found, now = get_purpose(purpose), clock.now()
    standings, facts, attributes = ConsentStatus.of(profiles, now), _live(profiles), _attributes()
    return {profile.pk: _permitted(found, standings[profile.pk], facts, attributes) for profile in profiles}


@transaction.atomic
def refresh_views(profile: Profile) -> dict[str, dict[str, Any]]:
    """Recompute every cached view of one profile. Returns purpose → {attribute: value} for the views that changed."""
    return {row.purpose_id: row.traits for row in refresh_all_views([profile])}


@transaction.atomic
def refresh_all_views(profiles: Sequence[Profile]) -> list[PermittedView]:
    """The same for many profiles, in as many queries as for one. Returns the views that changed."""
    now = clock.now()
    _hide_what_is_closed(profiles, now)
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


def _hide_what_is_closed(profiles: Sequence[Profile], now: dt.datetime) -> None:
    """The user document, and so tokens and rules, leave out what was given under a yes that no longer stands."""
    standings, moved = ConsentStatus.of(profiles, now), []
    for profile in profiles:
        standing = standings[profile.pk]
        closed = sorted(consent for consent in standing.consents if not standing.holds(consent))
        if closed != profile.closed_consents:
            profile.closed_consents = closed
            moved.append(profile)
    if moved:
        Profile.objects.bulk_update(moved, ["closed_consents"], batch_size=500)
        rebuild_all(moved)


def _all_views(profiles: Sequence[Profile], now: dt.datetime) -> Iterator[tuple[Profile, str, dict[str, Any], Terms]]:
    """(profile, purpose, traits, terms) for every active purpose."""
    facts = _live(profiles)
    standings, attributes = ConsentStatus.of(profiles, now), _attributes()
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
        return ConsentStatus.of([profile], clock.now())[profile.pk].allows(get_purpose(purpose))
    except DomainError:
        return False


def _live(profiles: Sequence[Profile]) -> dict[int, list[Fact]]:
    """Profile id → the facts nobody took back."""
    found: dict[int, list[Fact]] = {profile.pk: [] for profile in profiles}
    for fact in Fact.objects.filter(profile__in=profiles, retracted_at=None):
        found[fact.profile_id].append(fact)
    return found


def _attributes() -> dict[str, Attribute]:
    return {attribute.key: attribute for attribute in Attribute.objects.all()}


def _permitted(
    purpose: Purpose, standing: ConsentStatus, facts: dict[int, list[Fact]], attributes: dict[str, Attribute]
) -> dict[str, Value]:
    if not standing.allows(purpose):
        return {}
    by_attribute: dict[str, list[KnownFact]] = {}
    for fact in facts[standing.profile_id]:
        if _lists_purpose(attributes.get(fact.attribute), purpose, standing) and standing.covers(fact):
            by_attribute.setdefault(fact.attribute, []).append(known(fact))
    return resolve_all(by_attribute, standing.now, {key: _half_life(attributes.get(key)) for key in by_attribute})


def _lists_purpose(attribute: Attribute | None, purpose: Purpose, standing: ConsentStatus) -> bool:
    """Undeclared attributes serve the account only; special ones want an explicit yes to the very purpose."""
    if attribute is None:
        return purpose.key == "serve"
    if purpose.key not in attribute.purposes:
        return False
    if attribute.sensitivity != Attribute.Sensitivity.SPECIAL:
        return True
    return standing.is_explicit(purpose.key)


def _why_not(attribute: Attribute | None, purpose: Purpose, standing: ConsentStatus) -> str:
    if not standing.allows(purpose):
        return "not_allowed"
    if _lists_purpose(attribute, purpose, standing):
        return "yes_is_over"
    return "needs_explicit_yes" if attribute and purpose.key in attribute.purposes else "not_for_this"


def _half_life(attribute: Attribute | None) -> int | None:
    return attribute.half_life_days if attribute else None
