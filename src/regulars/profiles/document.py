"""The Auth0-shaped user: one document per profile, folded from facts and cached, never edited in place."""

from __future__ import annotations

from typing import Any

from regulars.base.conditions.terms import terms_of
from regulars.base.kit import clock

from .models import Attribute, Fact, Profile
from .resolve import KnownFact, Value, resolve

BAGS = ("user_metadata", "app_metadata")


def rebuild(profile: Profile) -> dict[str, Any]:
    """Fold the live facts into `profile.document` and save it. The login basis serves it; other uses ask `consent.view`."""
    values = winners(profile)
    paths = dict(Attribute.objects.exclude(metadata_path="").values_list("key", "metadata_path"))
    document: dict[str, Any] = {}
    for attribute, value in sorted(values.items()):
        put(document, paths.get(attribute, attribute), value.value)
    document["identities"] = [_identity(identity) for identity in profile.identities.order_by("id")]
    profile.document = document
    profile.updated_at = clock.now()
    profile.terms = terms_of(user(profile))
    profile.save(update_fields=["document", "terms", "updated_at"])
    return document


def user(profile: Profile) -> dict[str, Any]:
    """The user as Auth0's Management API and rules show it (ISO 8601 times in UTC, absent keys left out)."""
    columns = {
        "user_id": profile.user_id,
        "created_at": iso(profile.created_at),
        "updated_at": iso(profile.updated_at),
        "last_login": iso(profile.last_login),
        "last_ip": profile.last_ip or None,
        "logins_count": profile.logins_count if profile.last_login else None,
        "blocked": profile.blocked or None,
    }
    return {**profile.document, **{key: value for key, value in columns.items() if value is not None}}


def winners(profile: Profile) -> dict[str, Value]:
    """The winning live value of every attribute, whatever its purpose. For the document only."""
    by_attribute: dict[str, list[KnownFact]] = {}
    for fact in profile.facts.filter(retracted_at=None):
        by_attribute.setdefault(fact.attribute, []).append(known(fact))
    half_lives = dict(Attribute.objects.filter(key__in=by_attribute).values_list("key", "half_life_days"))
    now = clock.now()
    resolved = {key: resolve(facts, now, half_lives.get(key)) for key, facts in by_attribute.items()}
    return {key: value for key, value in resolved.items() if value is not None}


def known(fact: Fact) -> KnownFact:
    return KnownFact(
        id=fact.pk,
        attribute=fact.attribute,
        value=fact.value,
        source_kind=fact.source_kind,
        source=fact.source,
        collected_at=fact.collected_at,
        confidence=fact.confidence,
        expires_at=fact.expires_at,
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
        child = node.get(parent)
        node = node.setdefault(parent, {}) if isinstance(child, dict) or child is None else _replace(node, parent)
    node[leaf] = value


def iso(moment: Any) -> str | None:
    """`2026-11-24T10:00:00.000Z`, as Auth0 writes times."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _replace(node: dict[str, Any], name: str) -> dict[str, Any]:
    node[name] = {}
    fresh: dict[str, Any] = node[name]
    return fresh


def _identity(identity: Any) -> dict[str, Any]:
    return {
        "connection": identity.connection or identity.provider,
        "provider": identity.provider,
        "user_id": identity.provider_user_id,
        "isSocial": identity.is_social,
    }
