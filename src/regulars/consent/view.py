"""The one gate. No code reads facts for a use except through `view(profile, purpose)`.

A fact passes iff it is live, its attribute lists the purpose, the customer stands on yes for the purpose (or its basis
needs no yes and she did not object), and every consent it was itself given under still stands.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from regulars.base import clock
from regulars.base.conditions.document_terms import CONSENT_PATH, Terms, terms_of
from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.errors import DomainError
from regulars.profiles.auth0_user import Auth0User
from regulars.profiles.document import known, put, user, winners
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.profiles.resolve import KnownFact, Value, resolve_all

from .models import PermittedView, Purpose
from .purposes import get_purpose
from .status import ConsentStatus

BROUGHT = "traits_to_serve"  # on a customer of `with_served_traits`
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
    status, attributes, facts = ConsentStatus.of([profile], now)[profile.pk], _attributes(), _live([profile])
    passed = _permitted(found, status, facts, attributes)
    everything = winners(facts[profile.pk], attributes, now)
    return {key: _why_not(attributes.get(key), found, status) for key in everything if key not in passed}


def views(profile: Profile) -> dict[str, dict[str, Any]]:
    """The same for every active purpose at once: purpose → attribute → value."""
    statuses = ConsentStatus.of([profile], clock.now())
    return {purpose: traits for _, purpose, traits, _ in permitted_by_purpose([profile], statuses)}


def served_user(profile: Profile) -> Auth0User:
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


def with_served_traits(customers: QuerySet[Profile]) -> QuerySet[Profile]:
    """The same customers, who bring along in one query what `served_user` would read for each."""
    views = PermittedView.objects.filter(profile=OuterRef("pk"), purpose="serve")
    return customers.annotate(**{BROUGHT: Subquery(views.values("traits"))})


def view_all(profiles: Sequence[Profile], purpose: str) -> dict[int, dict[str, Value]]:
    """The same for many profiles, in as many queries as for one: profile id → attribute → value (empty: nothing)."""
    found, now = get_purpose(purpose), clock.now()
    statuses, facts, attributes = ConsentStatus.of(profiles, now), _live(profiles), _attributes()
    return {profile.pk: _permitted(found, statuses[profile.pk], facts, attributes) for profile in profiles}


def permitted_by_purpose(
    profiles: Sequence[Profile], statuses: Mapping[int, ConsentStatus]
) -> Iterator[tuple[Profile, str, dict[str, Any], Terms]]:
    """(profile, purpose, traits, terms) for every active purpose."""
    facts, attributes = _live(profiles), _attributes()
    purposes = list(Purpose.objects.filter(active=True))
    for profile in profiles:
        status = statuses[profile.pk]
        open_purposes = sorted(purpose.key for purpose in purposes if status.allows(purpose))
        for purpose in purposes:
            permitted = _permitted(purpose, status, facts, attributes)
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
    purpose: Purpose, status: ConsentStatus, facts: dict[int, list[Fact]], attributes: dict[str, Attribute]
) -> dict[str, Value]:
    if not status.allows(purpose):
        return {}
    by_attribute: dict[str, list[KnownFact]] = {}
    for fact in facts[status.profile_id]:
        if _lists_purpose(attributes.get(fact.attribute), purpose, status) and status.consents_hold(fact):
            by_attribute.setdefault(fact.attribute, []).append(known(fact))
    return resolve_all(by_attribute, status.now, {key: _half_life(attributes.get(key)) for key in by_attribute})


def _lists_purpose(attribute: Attribute | None, purpose: Purpose, status: ConsentStatus) -> bool:
    """Undeclared attributes serve the account only; special ones want an explicit yes to the very purpose."""
    if attribute is None:
        return purpose.key == "serve"
    if purpose.key not in attribute.purposes:
        return False
    if attribute.sensitivity != Attribute.Sensitivity.SPECIAL:
        return True
    return status.is_explicit(purpose.key)


def _why_not(attribute: Attribute | None, purpose: Purpose, status: ConsentStatus) -> str:
    if not status.allows(purpose):
        return "not_allowed"
    if _lists_purpose(attribute, purpose, status):
        return "yes_is_over"
    return "needs_explicit_yes" if attribute and purpose.key in attribute.purposes else "not_for_this"


def _half_life(attribute: Attribute | None) -> int | None:
    return attribute.half_life_days if attribute else None
