"""What a customer may be asked to confirm: a value from somebody else, a disputed one, or her own that ran out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from regulars.base.kit import clock
from regulars.consent.models import Purpose
from regulars.consent.view import view
from regulars.profiles.models import Profile

from .models import Question

HER_OWN = ("corrected", "declared")
WELL_KNOWN = (*HER_OWN, "verified")
MOMENT = dt.timedelta(microseconds=1)


def offers(profile: Profile, questions: Iterable[Question]) -> dict[str, Any]:
    """Question key → the value to confirm, of those questions that have words for it. Only what its purpose may use."""
    able = [each for each in questions if confirms(each) or each.confirm]
    if not able:
        return {}
    found: dict[str, Any] = {}
    for purpose in {each.purpose_id for each in able}:
        permitted = view(profile, purpose)
        for question in (each for each in able if each.purpose_id == purpose):
            value = permitted.get(question.attribute)
            if value is None:
                found[question.key] = _ran_out(profile, question)
            elif value.source_kind not in WELL_KNOWN or value.disputed:
                found[question.key] = value.value
    return {key: value for key, value in found.items() if isinstance(value, str | int | float) and value != ""}


def confirms(question: Question) -> bool:
    """Whether its type does nothing but confirm."""
    return getattr(question.kind, "confirms", False)


def _ran_out(profile: Profile, question: Question) -> Any:
    """What she said herself and may still be used, but for its age."""
    now = clock.now()
    old = profile.facts.filter(
        attribute=question.attribute, source_kind__in=HER_OWN, retracted_at=None, expires_at__lte=now
    )
    fact = old.order_by("-collected_at", "-id").first()
    if (
        fact is None
        or fact.expires_at is None
        or not Purpose.objects.filter(pk=question.purpose_id, active=True).exists()
    ):
        return None
    then = view(profile, question.purpose_id, at=fact.expires_at - MOMENT).get(question.attribute)
    return then.value if then and then.fact_id == fact.pk else None
