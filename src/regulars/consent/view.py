"""Permitted views: the only way to read facts for a use is `view(profile, purpose)`.

A fact is permitted if and only if it is live, its attribute lists the purpose, the purpose is open for the customer, the
very decisions stand that the fact was given under, and they cover the purpose (`ConsentStatus.fact_stands`, `covers`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from regulars.base import clock
from regulars.base.conditions.document_terms import CONSENT_PATH, Terms, terms_of
from regulars.base.configuration.versioned_cache import VersionedCache
from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.base.errors import DomainError
from regulars.events.models import Event
from regulars.profiles.assertions import PROOFS, RULES, Place, Thing, is_shown, thing_of
from regulars.profiles.auth0_user import Auth0User
from regulars.profiles.document import identities_at, known, metadata_among, put, user, winners
from regulars.profiles.known_customers import without_weak_contacts
from regulars.profiles.models import Attribute, Fact, Profile
from regulars.profiles.premises import fallen
from regulars.profiles.resolve import KnownFact, Value, expired, resolve_all

from .fold import YES
from .models import ConsentEvent, ConsentState, PermittedView, Purpose, Widening
from .purposes import get_purpose
from .status import ConsentStatus
from .uses import EVENTS_CLOSED

# On a customer of `with_served_traits`.
PREFETCHED, PREFETCHED_BY_PLACE, OUTDATED = "traits_to_serve", "traits_by_place", "traits_are_outdated"
# Places that read the cached view of the purpose "serve", beside segments, which read those of every purpose.
SERVED_PLACES = (Place.TOKEN, Place.USERINFO, Place.RULES)
# What the login itself needs, and all that is served while processing is restricted (Art. 18 GDPR).
LOGIN_NEEDS = frozenset({"email", "email_verified", "phone_number", "phone_verified", "username"})
# The legitimate interest in what sources of events send.
COLLECTED_FOR = "measure"
# Events that Regulars recorded itself, and those that sources sent, as facts under whose rules they are.
OWN = Fact(basis=Purpose.Basis.CONTRACT)
SENT = Fact(basis=Purpose.Basis.LEGITIMATE_INTEREST, purpose=COLLECTED_FOR)
# Why a known attribute is not permitted for a purpose, as staff read it.
WHY_NOT = {
    "not_allowed": "the customer does not allow the purpose",
    "not_for_this": "the attribute is not meant for this purpose",
    "needs_explicit_yes": "the attribute is of a special category, which needs explicit consent to this purpose",
    "yes_is_over": "the consent under which it was given is no longer valid",
    "not_asked_for_this": "the customer was not asked about it for this purpose",
}
# Why a fact may be used for nothing, as staff and applications read it.
WHY_UNUSED = {
    "retracted": "retracted",
    "expired": "expired",
    "consent_over": "the consent it was given under is over",
    "premise_over": "what it follows from no longer counts",
    "restricted": "processing is restricted: stored only",
    "purpose_closed": "the customer allows none of its purposes",
    "needs_explicit_yes": "special category without explicit consent",
    "for_no_purpose": "meant for no purpose",
}

_traits_to_serve = CompiledQuery(
    lambda: (
        PermittedView.objects.filter(profile_id=param("profile"), purpose="serve")
        .annotate(**{OUTDATED: _is_outdated()})
        .values_list("traits", "by_place", OUTDATED)
    )
)
# Attribute → where its value is kept in the metadata. Every login and every read of /userinfo needs it.
_metadata_paths: VersionedCache[str, dict[str, str]] = VersionedCache(
    lambda _: dict(Attribute.objects.exclude(metadata_path="").values_list("key", "metadata_path")), Attribute
)


def view(
    profile: Profile, purpose: str, at: dt.datetime | None = None, place: Place = Place.SEGMENTS
) -> dict[str, Value]:
    """Return the permitted view of a customer for a purpose: attribute → winning permitted value that the place may show.

    Raises `Invalid("unknown_purpose")`. An empty view: nothing may be used.
    """
    now = at or clock.now()
    return _permitted(
        get_purpose(purpose), ConsentStatus.of([profile], now)[profile.pk], live_facts([profile]), _attributes(), place
    )


def withheld(profile: Profile, purpose: str) -> dict[str, str]:
    """Return known attributes that are not permitted for a purpose: attribute → reason, a key of `WHY_NOT`."""
    found, now = get_purpose(purpose), clock.now()
    status, attributes, facts = ConsentStatus.of([profile], now)[profile.pk], _attributes(), live_facts([profile])
    passed = _permitted(found, status, facts, attributes)
    everything = winners(facts[profile.pk], attributes, now)
    reasons: dict[str, str] = {}
    for key in everything:
        attribute = attributes.get(key)
        if key in passed:
            continue
        if not status.allows(found):
            reasons[key] = "not_allowed"
        elif _lists_purpose(attribute, found, status):
            stands = any(status.fact_stands(fact) for fact in facts[profile.pk] if fact.attribute == key)
            reasons[key] = "not_asked_for_this" if stands else "yes_is_over"
        else:
            reasons[key] = "needs_explicit_yes" if attribute and found.key in attribute.purposes else "not_for_this"
    return reasons


@dataclass(frozen=True)
class FactUse:
    """The purposes that a fact may be used for now, and why it may be used for none: a key of `WHY_UNUSED`; empty: it may."""

    purposes: tuple[str, ...]
    why_not: str


def uses_of_facts(profile: Profile) -> dict[int, FactUse]:
    """Return fact id → its use at this moment, of every fact of a customer, by the rules of the gate."""
    now = clock.now()
    status, attributes = ConsentStatus.of([profile], now)[profile.pk], _attributes()
    facts = list(Fact.objects.filter(profile=profile))
    live = without_weak_contacts(profile, [fact for fact in facts if fact.retracted_at is None])
    believed = {fact.pk for fact in live}
    half_lives = {key: attribute.half_life_days for key, attribute in attributes.items()}
    no_longer = fallen([known(fact) for fact in live if status.fact_stands(fact)], now, half_lives)
    purposes = list(Purpose.objects.filter(active=True).order_by("key"))
    found = {}
    for fact in facts:
        attribute = attributes.get(fact.attribute)
        is_used = fact.pk in believed
        listed = [purpose for purpose in purposes if is_used and _lists_purpose(attribute, purpose, status)]
        allowed = tuple(p.key for p in listed if status.allows(p) and status.covers(p, fact))
        if status.is_restricted:
            is_needed = fact.attribute in LOGIN_NEEDS
            allowed = tuple(p.key for p in listed if is_needed and p.key == "serve" and status.covers(p, fact))
        why = (
            "retracted"
            if fact.retracted_at
            else "expired"
            if expired(fact, now)
            else "consent_over"
            if not status.fact_stands(fact)
            else "premise_over"
            if fact.pk in no_longer
            else ""
        )
        if not why and not allowed:
            is_special = attribute is not None and attribute.sensitivity == Attribute.Sensitivity.SPECIAL
            why = (
                "restricted"
                if status.is_restricted
                else "purpose_closed"
                if listed
                else "needs_explicit_yes"
                if is_special
                else "for_no_purpose"
            )
        found[fact.pk] = FactUse(() if why else allowed, why)
    return found


def views(profile: Profile) -> dict[str, dict[str, Any]]:
    """Return the permitted views for all active purposes: purpose → attribute → value."""
    statuses = ConsentStatus.of([profile], clock.now())
    return {each.purpose: each.traits for each in permitted_by_purpose([profile], statuses, live_facts([profile]))}


def served_user(profile: Profile, place: Place) -> Auth0User:
    """Return the user as a place sees them: Auth0's shape, with what is permitted for the purpose "serve" only.

    What the table of `profiles.assertions` closes at the place is left out. Reads the cached view, which equals
    `view(profile, "serve")` at that place, because every login needs it. Raises `ValueError` for a place not in
    `SERVED_PLACES`, of which the cache knows nothing.
    """
    if place not in SERVED_PLACES:
        raise ValueError(f"the permitted views are not kept for {place}")
    if hasattr(profile, PREFETCHED):
        columns = (PREFETCHED, PREFETCHED_BY_PLACE, OUTDATED)
        traits, by_place, outdated = (getattr(profile, column) for column in columns)
    else:
        traits, by_place, outdated = _traits_to_serve.first(profile=profile.pk) or ({}, {}, False)
    if outdated:
        traits, by_place = _values(view(profile, "serve", place=place)), {}
    there = {**(traits or {}), **(by_place or {}).get(place, {})}
    return _user(profile, there, _metadata_paths("") or {}, place)


def _user(profile: Profile, traits: Mapping[str, Any], paths: Mapping[str, str], place: Place) -> Auth0User:
    document: dict[str, Any] = {}
    for key, value in traits.items():
        if value is not None:
            put(document, paths.get(key, key), value)
    for proof, thing in PROOFS.items():
        if document.get(proof) is True and thing not in document and thing in profile.document:
            document[proof] = False  # of a value that may not be shown here nothing is proved
    document["identities"] = identities_at(profile, place)
    return user(profile, document)


def with_served_traits(customers: QuerySet[Profile]) -> QuerySet[Profile]:
    """Annotate customers with the traits that `served_user` would otherwise read for each."""
    views = PermittedView.objects.filter(profile=OuterRef("pk"), purpose="serve")
    return customers.annotate(
        **{
            PREFETCHED: Subquery(views.values("traits")),
            PREFETCHED_BY_PLACE: Subquery(views.values("by_place")),
            OUTDATED: _is_outdated("pk"),
        }
    )


def _is_outdated(profile: str = "profile_id") -> Exists:
    """Match customers whose cached views are from before a purpose was widened: the worker has not come to them yet."""
    return Exists(Widening.objects.filter(after__lt=OuterRef(profile)))


def current_views() -> QuerySet[PermittedView]:
    """Return the cached views that hold now, for all that reads many of them or none anew.

    Those of customers who had allowed a purpose that covers more since are left out until the worker has come to them: facts
    given under it are closed for every other purpose as well.
    """
    return PermittedView.objects.exclude(has_outdated_views("profile_id"))


def has_outdated_views(profile: str = "pk") -> Exists:
    """Match customers of whom a widened purpose closed something that their cached views and memberships still have.

    `profile` is the column with their id. Who allowed the purpose as it is now is recomputed already; the version tells it,
    and not the time: an older page may be sent, and commit, while the purpose is changed. Without a walk under way the table
    of walks is empty, and nothing else is read.
    """
    allowed = ConsentState.objects.filter(
        profile=OuterRef(OuterRef(profile)),
        purpose=OuterRef("purpose"),
        status__in=YES,
        event__purpose_version__lt=OuterRef("purpose__consents_from"),
    )
    return Exists(Widening.objects.filter(Exists(allowed), after__lt=OuterRef(profile)))


def has_outdated_views_sql(profile_id: str) -> str:
    """Return the same as a condition of plain SQL on a column with a profile's id."""
    walks, states, events, purposes = (each._meta.db_table for each in (Widening, ConsentState, ConsentEvent, Purpose))
    given = ", ".join(f"'{action}'" for action in sorted(YES))
    return (
        f"EXISTS (SELECT 1 FROM {walks} w JOIN {purposes} u ON u.key = w.purpose_id"  # noqa: S608 - our own names
        f" JOIN {states} s ON s.purpose_id = w.purpose_id AND s.profile_id = {profile_id}"
        f" JOIN {events} d ON d.id = s.event_id AND d.purpose_version < u.consents_from"
        f' WHERE w."after" < {profile_id} AND s.status IN ({given}))'
    )


def view_all(profiles: Sequence[Profile], purpose: str, place: Place = Place.SEGMENTS) -> dict[int, dict[str, Value]]:
    """Return the permitted views of many profiles in as many queries as for one: profile id → attribute → value."""
    found, now = get_purpose(purpose), clock.now()
    statuses, facts, attributes = ConsentStatus.of(profiles, now), live_facts(profiles), _attributes()
    return {profile.pk: _permitted(found, statuses[profile.pk], facts, attributes, place) for profile in profiles}


def readable_users(profiles: Sequence[Profile], purpose: str) -> list[Auth0User]:
    """Return the users as applications read them for a purpose: Auth0's shape, with what is permitted at this moment only.

    Raises `Invalid("unknown_purpose")`.
    """
    paths = _metadata_paths("") or {}
    permitted = view_all(profiles, purpose, Place.RULES)
    return [_user(profile, _values(permitted[profile.pk]), paths, Place.RULES) for profile in profiles]


@dataclass(frozen=True)
class Permitted:
    """What is permitted of one customer for one purpose, as `PermittedView` stores it."""

    profile: Profile
    purpose: str
    traits: dict[str, Any]
    by_place: dict[str, dict[str, Any]]
    terms: Terms
    shown_terms: Terms | None


def permitted_by_purpose(
    profiles: Sequence[Profile], statuses: Mapping[int, ConsentStatus], facts: Mapping[int, list[Fact]]
) -> Iterator[Permitted]:
    """Yield what is permitted for every active purpose."""
    attributes = _attributes()
    purposes = list(Purpose.objects.filter(active=True))
    for profile in profiles:
        status = statuses[profile.pk]
        all_open = sorted(purpose.key for purpose in purposes if status.allows(purpose))
        for purpose in purposes:
            open_purposes = all_open if _uses_events(status, purpose, SENT) else [*all_open, EVENTS_CLOSED]
            traits = _values(_permitted(purpose, status, facts, attributes))
            by_place = _differences(traits, purpose, status, facts, attributes)
            terms, shown_terms = terms_of({**traits, CONSENT_PATH: open_purposes}), None
            if hidden := by_place.get(Place.RULES):
                there = {key: value for key, value in {**traits, **hidden}.items() if value is not None}
                shown_terms = terms_of({**there, CONSENT_PATH: open_purposes})
            yield Permitted(profile, purpose.key, traits, by_place, terms, shown_terms)


def _differences(
    traits: dict[str, Any],
    purpose: Purpose,
    status: ConsentStatus,
    facts: Mapping[int, list[Fact]],
    attributes: dict[str, Attribute],
) -> dict[str, dict[str, Any]]:
    """Return place → what differs there from `traits`; empty for a customer of whom every word may appear everywhere.

    Tokens and `/userinfo` show what serves the account only, so that other purposes have no view for them.
    """
    found: dict[str, dict[str, Any]] = {}
    places = SERVED_PLACES if purpose.key == "serve" else (Place.RULES,)
    everyone = ((known(fact).asserter, _thing(fact, attributes)) for fact in facts[status.profile_id])
    shown = {(asserter, thing): RULES[asserter][thing].places for asserter, thing in everyone}
    closed = [place for place in places if not all(places[place] for places in shown.values())]
    for place in closed:
        there = _values(_permitted(purpose, status, facts, attributes, place))
        differing = {key: there.get(key) for key, value in traits.items() if there.get(key) != value}
        if differing := {**{key: value for key, value in there.items() if key not in traits}, **differing}:
            found[str(place)] = differing
    return found


def _values(permitted: Mapping[str, Value]) -> dict[str, Any]:
    return {key: value.value for key, value in permitted.items()}


def may(profile: Profile, purpose: str) -> bool:
    """Return whether a purpose is open for a customer now. Enrichment and destinations check it before they send."""
    try:
        return ConsentStatus.of([profile], clock.now())[profile.pk].allows(get_purpose(purpose))
    except DomainError:
        return False


def of_whom_open(profiles: Sequence[Profile], purpose: str) -> set[int]:
    """Return the ids of those for whom a purpose is open now, in as many queries as for one."""
    found = Purpose.objects.filter(key=purpose, active=True).first()
    if found is None:
        return set()
    return {key for key, status in ConsentStatus.of(profiles, clock.now()).items() if status.allows(found)}


@dataclass(frozen=True)
class EventUse:
    """Whether events may be used for a purpose: those that Regulars recorded itself, and those that sources sent."""

    own: bool
    sent: bool

    def opens(self, event: Event) -> bool:
        return self.own if event.source_id is None else self.sent


def uses_of_events(profiles: Sequence[Profile], purpose: str) -> dict[int, EventUse]:
    """Return profile id → the events that may be used for a purpose now, in as many queries as for one.

    Events follow the rules of facts without a decision: the account needs those of Regulars itself, and those of sources rest
    on the legitimate interest in measuring. Raises `Invalid("unknown_purpose")`.
    """
    found, statuses = get_purpose(purpose), ConsentStatus.of(profiles, clock.now())
    return {
        key: EventUse(_uses_events(status, found, OWN), _uses_events(status, found, SENT))
        for key, status in statuses.items()
    }


def _uses_events(status: ConsentStatus, purpose: Purpose, like: Fact) -> bool:
    return status.allows(purpose) and status.fact_stands(like) and status.covers(purpose, like)


def live_facts(profiles: Sequence[Profile]) -> dict[int, list[Fact]]:
    """Return profile id → facts that are not retracted, without addresses that no one believes."""
    found: dict[int, list[Fact]] = {profile.pk: [] for profile in profiles}
    for fact in Fact.objects.filter(profile__in=profiles, retracted_at=None):
        found[fact.profile_id].append(fact)
    return {profile.pk: without_weak_contacts(profile, found[profile.pk]) for profile in profiles}


def _attributes() -> dict[str, Attribute]:
    return {attribute.key: attribute for attribute in Attribute.objects.all()}


def _permitted(
    purpose: Purpose,
    status: ConsentStatus,
    facts: Mapping[int, list[Fact]],
    attributes: dict[str, Attribute],
    place: Place = Place.SEGMENTS,
) -> dict[str, Value]:
    if not (status.allows(purpose) or (status.is_restricted and purpose.key == "serve")):
        return {}
    held = [
        (fact, each)
        for fact in facts[status.profile_id]
        if status.fact_stands(fact)
        if fact.attribute in LOGIN_NEEDS or not status.is_restricted
        if is_shown((each := known(fact)).asserter, _thing(fact, attributes), place)
    ]
    half_lives = {key: attribute.half_life_days for key, attribute in attributes.items()}
    no_longer = fallen([each for _, each in held], status.now, half_lives)
    by_attribute: dict[str, list[KnownFact]] = {}
    for fact, each in held:
        if each.id in no_longer or not status.covers(purpose, fact):
            continue
        if _lists_purpose(attributes.get(fact.attribute), purpose, status):
            by_attribute.setdefault(fact.attribute, []).append(each)
    # Tokens and rules show metadata as it was written, empty values too; for any other use these are not known.
    kept = metadata_among(by_attribute, attributes) if purpose.key == "serve" else ()
    return resolve_all(by_attribute, status.now, half_lives, kept)


def _thing(fact: Fact, attributes: dict[str, Attribute]) -> Thing:
    attribute = attributes.get(fact.attribute)
    return thing_of(fact.attribute, attribute.metadata_path if attribute else "")


def _lists_purpose(attribute: Attribute | None, purpose: Purpose, status: ConsentStatus) -> bool:
    """Undeclared attributes serve the account only; special ones need explicit consent to this very purpose."""
    if attribute is None:
        return purpose.key == "serve"
    if purpose.key not in attribute.purposes:
        return False
    if attribute.sensitivity != Attribute.Sensitivity.SPECIAL:
        return True
    return status.is_explicit(purpose.key)
