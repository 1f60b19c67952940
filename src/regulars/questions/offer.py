"""What a customer may be asked to confirm: a value from somebody else, a disputed one, or her own that ran out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from regulars.base import clock
from regulars.consent.view import view
from regulars.profiles.models import Profile
from regulars.profiles.resolve import TIERS, Value

from .models import Question

HER_OWN = ("corrected", "declared")
WELL_KNOWN = (*HER_OWN, "verified")
MOMENT = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Offer:
    """A value to confirm, and how likely it is right (0..1): the less, the more her word is worth."""

    value: str | int | float
    reliability: float


def offers(profile: Profile, questions: Iterable[Question]) -> dict[str, Offer]:
    """Question key → what to confirm, of those questions that have words for it. Only what its purpose may use."""
    able = [each for each in questions if confirms(each) or each.confirm]
    if not able:
        return {}
    found: dict[str, Value] = {}
    for purpose in {each.purpose_id for each in able}:
        permitted = view(profile, purpose)
        for question in (each for each in able if each.purpose_id == purpose):
            value = permitted.get(question.attribute) or _ran_out(profile, question)
            if value and (value.source_kind not in WELL_KNOWN or value.disputed or _is_over(value, permitted)):
                found[question.key] = value
    scalars = {key: value for key, value in found.items() if isinstance(value.value, str | int | float)}
    return {key: Offer(value.value, _reliability(value)) for key, value in scalars.items()}


def confirms(question: Question) -> bool:
    """Whether its type does nothing but confirm."""
    return getattr(question.kind, "confirms", False)


def _ran_out(profile: Profile, question: Question) -> Value | None:
    """What she said herself and may still be used, but for its age."""
    now = clock.now()
    old = profile.facts.filter(
        attribute=question.attribute, source_kind__in=HER_OWN, retracted_at=None, expires_at__lte=now
    )
    fact = old.order_by("-collected_at", "-id").first()
    if fact is None or fact.expires_at is None:
        return None
    then = view(profile, question.purpose_id, at=fact.expires_at - MOMENT).get(question.attribute)
    return then if then and then.fact_id == fact.pk else None


def _is_over(value: Value, permitted: dict[str, Value]) -> bool:
    return all(value.fact_id != each.fact_id for each in permitted.values())


def _reliability(value: Value) -> float:
    """That of its kind of source; her own word that ran out is worth no more than a stranger's list."""
    return min(TIERS[value.source_kind][1], TIERS["imported"][1]) * value.confidence
