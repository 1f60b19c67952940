"""Write down what we learned, with its source; and what follows from it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction
from django.db.models import Q

from regulars.base.kit import clock

from . import derive
from .attributes import canonical_key
from .document import rebuild
from .models import Attribute, Fact, Profile


@dataclass(frozen=True)
class NewFact:
    """What somebody says of a customer. `value=None` takes back what this source said before.

    `attribute` is a key (`gender`) or a metadata path (`user_metadata.shoe.size`); `source` says exactly who
    (`google-oauth2`, `question:looking_for@1`, `app:shop`); `consents` are ids of consent events it was given under.
    """

    attribute: str
    value: Any
    source_kind: str
    source: str
    basis: str = "contract"
    consents: list[int] = field(default_factory=list)
    confidence: float = 1.0
    collected_at: dt.datetime | None = None
    expires_at: dt.datetime | None = None
    derived_from: list[int] = field(default_factory=list)


@transaction.atomic
def learn(profile: Profile, news: Iterable[NewFact]) -> list[Fact]:
    """Append the facts that say something new, and their conclusions. Returns what was written.

    The caller (a flow) then calls `flows.refresh.after_learning`, so that views and segments follow in the same
    transaction. A source that repeats its last word adds nothing.
    """
    written: list[Fact] = []
    for new in news:
        fact = _write(profile, new)
        if fact is None:
            continue
        written.append(fact)
        written += [conclusion for each in _conclusions(fact, new) if (conclusion := _write(profile, each))]
    if written:
        rebuild(profile)
    return written


def is_known(profile: Profile, attribute: str) -> bool:
    """Whether any live fact tells this attribute, from whatever source: what is known is not asked."""
    live = Q(expires_at=None) | Q(expires_at__gt=clock.now())
    latest = profile.facts.filter(live, attribute=canonical_key(attribute), retracted_at=None).order_by(
        "-collected_at", "-id"
    )
    return any(fact.value not in (None, "", [], {}) for fact in latest[:1])


def retract(facts: Sequence[Fact], why: str) -> None:
    """Facts are never deleted by a change of mind: they are marked, with everything concluded from them."""
    ids = [fact.id for fact in facts]
    if not ids:
        return
    profile = facts[0].profile
    closure = set(ids)
    for fact in profile.facts.filter(retracted_at=None).exclude(derived_from=[]).order_by("id"):
        if closure.intersection(fact.derived_from):
            closure.add(fact.id)
    profile.facts.filter(id__in=closure, retracted_at=None).update(retracted_at=clock.now(), retracted_why=why)
    rebuild(profile)


def _write(profile: Profile, new: NewFact) -> Fact | None:
    key = canonical_key(new.attribute)
    last = (
        profile.facts.filter(attribute=key, source=new.source, retracted_at=None)
        .order_by("-collected_at", "-id")
        .first()
    )
    if last is not None and last.value == new.value and not (last.expires_at and last.expires_at <= clock.now()):
        return None
    if last is None and new.value is None:
        return None
    return Fact.objects.create(
        profile=profile,
        attribute=key,
        value=new.value,
        source_kind=new.source_kind,
        source=new.source,
        collected_at=new.collected_at or clock.now(),
        basis=new.basis,
        consents=new.consents,
        confidence=new.confidence,
        expires_at=new.expires_at or _default_expiry(key),
        derived_from=new.derived_from,
    )


def _default_expiry(key: str) -> dt.datetime | None:
    days = Attribute.objects.filter(key=key).values_list("expires_days", flat=True).first()
    return clock.now() + dt.timedelta(days=days) if days else None


def _conclusions(fact: Fact, premise: NewFact) -> list[NewFact]:
    """Conclusions inherit source, basis and consent: they live and die with what they follow from."""
    if fact.value is None:
        return [replace(premise, attribute=name, value=None) for name in derive.CONCLUDES.get(fact.attribute, ())]
    return [
        replace(
            premise,
            attribute=each.attribute,
            value=each.value,
            derived_from=[fact.id],
            expires_at=each.expires_at or premise.expires_at,
        )
        for each in derive.conclusions(fact.attribute, fact.value, clock.now())
    ]
