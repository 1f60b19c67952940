"""The Auth0-shaped user: one cached document per profile, derived from facts and never edited in place."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from django.db import transaction

from regulars.base import clock
from regulars.base.conditions.document_terms import Terms, terms_of

from .assertions import Asserter, Place, Thing, asserter_of, asserter_of_identity, is_shown, thing_of
from .auth0_user import Auth0Identity, Auth0User
from .derive import changes_after
from .known_customers import ASSERTED_BY, without_weak_contacts
from .models import Attribute, Fact, Identity, Profile
from .premises import fallen
from .resolve import KnownFact, Value, resolve_all
from .row_locks import hold

T = TypeVar("T", Fact, Identity)
EVERY_INTEREST = "*"  # in `Profile.closed_interests`
BAGS = ("user_metadata", "app_metadata")
HIDDEN_IDENTITIES = "hidden_identities"  # in the terms of a profile only
# All that `user` and `identities_at` read of a profile.
COLUMNS_OF_USER = (
    *("user_id", "created_at", "updated_at", "last_login", "last_ip", "logins_count", "blocked"),
    "document",
)


def rebuild(profile: Profile) -> dict[str, Any]:
    """Derive `profile.document` from the live facts and save it. Uses other than the login read `consent.view`."""
    rebuild_all([profile])
    return dict(profile.document)


def rebuild_all(profiles: list[Profile]) -> None:
    """Derive and save the documents of many profiles in as many queries as for one. Raises `NotFound("customer_erased")`."""
    with transaction.atomic(savepoint=False):
        hold(profiles)  # before the facts are read
        now = clock.now()
        for profile in profiles:
            profile.updated_at = now
        derive(profiles, now)
        Profile.objects.bulk_update(profiles, ["document", "terms", "updated_at", "changes_at"], batch_size=200)


def derive(profiles: Sequence[Profile], now: dt.datetime) -> None:
    """Set what follows from the stored facts (`document`, `terms`, `changes_at`) on these objects, and save nothing."""
    attributes = {attribute.key: attribute for attribute in Attribute.objects.all()}
    facts = _by_profile(Fact.objects.filter(profile__in=profiles, retracted_at=None).order_by("id"))
    identities = _by_profile(Identity.objects.filter(profile__in=profiles).order_by("id"))
    for profile in profiles:
        named = identities.get(profile.pk, [])
        # First, because who named a customer decides what counts of them.
        own = {
            "identities": [
                {
                    "connection": identity.connection or identity.provider,
                    "provider": identity.provider,
                    "user_id": identity.provider_user_id,
                    "isSocial": identity.is_social,
                }
                for identity in named
            ],
            ASSERTED_BY: [identity.asserted_by for identity in named],
        }
        profile.document = dict(own)
        believed = without_weak_contacts(profile, facts.get(profile.pk, []))
        values = winners([fact for fact in believed if is_open(profile, fact)], attributes, now)
        for key, value in sorted(values.items()):
            attribute = attributes.get(key)
            put(profile.document, (attribute and attribute.metadata_path) or key, value.value)
        profile.document |= own  # no attribute of these names takes their place
        profile.terms = account_terms(profile)
        profile.changes_at = next_change(facts.get(profile.pk, []), now)


def account_terms(profile: Profile) -> Terms:
    """Return what searches find of a customer beside their facts: columns, and identities.

    The words of facts are in permitted views: a search finds no more than its reader may read. Identities that
    only staff may see are under `HIDDEN_IDENTITIES`.
    """
    shown = identities_at(profile, Place.RULES)
    hidden = [each for each in profile.document.get("identities", []) if each not in shown]
    return terms_of(user(profile, {"identities": shown, HIDDEN_IDENTITIES: hidden}))


def is_open(profile: Profile, fact: Fact) -> bool:
    """Return whether the decisions stand under which a fact was given, by what the profile's last refresh found."""
    if not set(profile.closed_consents).isdisjoint(fact.consents):
        return False
    if fact.basis == "legitimate_interest":
        return {EVERY_INTEREST, fact.purpose}.isdisjoint(profile.closed_interests)
    return fact.basis == "contract" or (fact.basis == "consent" and bool(fact.consents))


def next_change(facts: list[Fact], now: dt.datetime) -> dt.datetime | None:
    """Return the next instant at which a live fact expires, or something else follows from it; None: never."""
    instants = [fact.expires_at for fact in facts if fact.expires_at and fact.expires_at > now]
    instants += filter(None, (changes_after(fact.attribute, fact.value, now) for fact in facts))
    return min(instants, default=None)


def user(profile: Profile, document: dict[str, Any] | None = None) -> Auth0User:
    """Return the user in Auth0's shape (ISO 8601 times in UTC, no absent keys), of `document` or of the cached one."""
    columns = {
        "user_id": profile.user_id,
        "created_at": iso(profile.created_at),
        "updated_at": iso(profile.updated_at),
        "last_login": iso(profile.last_login),
        "last_ip": profile.last_ip or None,
        "logins_count": profile.logins_count if profile.last_login else None,
        "blocked": profile.blocked or None,
    }
    facts = profile.document if document is None else document
    # No fact stands in for a column that is empty: a customer who is not blocked has no `blocked` at all.
    known_columns = {key: value for key, value in columns.items() if value is not None}
    own = {key: value for key, value in facts.items() if key not in columns and key != ASSERTED_BY}
    return cast(Auth0User, {**own, **known_columns})


def identities_at(profile: Profile, place: Place) -> list[Auth0Identity]:
    """Return the identities that may appear at a place, in Auth0's shape."""
    identities: list[Auth0Identity] = profile.document.get("identities", [])
    asserters: list[str] = profile.document.get(ASSERTED_BY) or [""] * len(identities)
    return [
        each
        for each, asserter in zip(identities, asserters, strict=True)
        if is_shown(Asserter(asserter or asserter_of_identity(each["provider"])), Thing.IDENTIFIER, place)
    ]


def winners(facts: list[Fact], attributes: dict[str, Attribute], now: dt.datetime) -> dict[str, Value]:
    """Return the winning live value of every attribute, whatever its purpose. For the document only."""
    half_lives = {key: attribute.half_life_days for key, attribute in attributes.items()}
    usable = [known(fact) for fact in facts]
    no_longer = fallen(usable, now, half_lives)
    by_attribute: dict[str, list[KnownFact]] = {}
    for each in usable:
        if each.id not in no_longer:
            by_attribute.setdefault(each.attribute, []).append(each)
    return resolve_all(by_attribute, now, half_lives, metadata_among(by_attribute, attributes))


def values_at(profile: Profile, place: Place) -> dict[str, Any]:
    """Return the values of a customer that may appear at a place, whatever their purpose: for our own pages and mails.

    The cached document is for staff: it has what any visitor could have written.
    """
    attributes = {attribute.key: attribute for attribute in Attribute.objects.all()}
    facts = without_weak_contacts(profile, profile.facts.filter(retracted_at=None).order_by("id"))
    paths = {key: each.metadata_path for key, each in attributes.items()}
    shown = [
        fact
        for fact in facts
        if is_open(profile, fact)
        if is_shown(known(fact).asserter, thing_of(fact.attribute, paths.get(fact.attribute, "")), place)
    ]
    return {key: value.value for key, value in winners(shown, attributes, clock.now()).items()}


def own_name(profile: Profile) -> str:
    """Return the name by which pages address the customer, or their e-mail address; empty when neither is known."""
    values = values_at(profile, Place.USERINFO)
    return str(values.get("name") or values.get("email") or "")


def metadata_among(keys: Iterable[str], attributes: Mapping[str, Attribute]) -> set[str]:
    """Return those of the keys that are metadata: paths of the two bags, and attributes that stand at such a path."""
    return {
        key
        for key in keys
        if key.partition(".")[0] in BAGS or (key in attributes and bool(attributes[key].metadata_path))
    }


def known(fact: Fact) -> KnownFact:
    return KnownFact(
        id=fact.pk,
        attribute=fact.attribute,
        value=fact.value,
        source_kind=fact.source_kind,
        source=fact.source,
        collected_at=fact.collected_at,
        asserter=Asserter(fact.asserter or asserter_of(fact.source_kind, fact.source)),
        confidence=fact.confidence,
        expires_at=fact.expires_at,
        confirmed_at=fact.confirmed_at,
        derived_from=tuple(fact.derived_from),
    )


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Set a dotted path, but only below the two bags: elsewhere a dot is part of the name."""
    head, _, rest = path.partition(".")
    if head not in BAGS or not rest:
        document[path] = value
        return
    node = document.setdefault(head, {})
    *parents, leaf = rest.split(".")
    for parent in parents:
        if not isinstance(node.get(parent), dict):
            node[parent] = {}
        node = node[parent]
    node[leaf] = value


def iso(moment: Any) -> str | None:
    """Return a time as Auth0 writes it: `2026-11-24T10:00:00.000Z`."""
    return None if moment is None else f"{moment.isoformat(timespec='milliseconds')[:23]}Z"


def _by_profile(rows: Iterable[T]) -> dict[int, list[T]]:
    found: dict[int, list[T]] = {}
    for row in rows:
        found.setdefault(row.profile_id, []).append(row)
    return found
