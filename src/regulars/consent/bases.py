"""The legal basis of every fact: one that needs a decision names it, and the decision is the customer's own."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Q, QuerySet

from regulars.profiles.models import Fact

from .fold import YES
from .models import ConsentEvent, Purpose

NO_BASIS, NO_DECISION, NOT_THEIRS = "no_basis", "no_decision", "not_their_decision"
PORTION = 2000


def without_basis() -> QuerySet[Fact]:
    """Return the live facts whose basis is none that exists, or needs a decision and names none. No use shows them."""
    live = Fact.objects.filter(retracted_at=None, value__isnull=False)
    return live.filter(~Q(basis__in=Purpose.Basis.values) | Q(basis=Purpose.Basis.CONSENT, consents=[]))


def wrong_bases() -> Iterator[tuple[Fact, str]]:
    """Yield every live fact without a basis and the reason, also those that name a decision of another customer, or a no."""
    for fact in without_basis().iterator(chunk_size=PORTION):
        yield fact, NO_DECISION if fact.basis == Purpose.Basis.CONSENT else NO_BASIS
    named = Fact.objects.filter(retracted_at=None).exclude(consents=[]).order_by("profile_id")
    portion: list[Fact] = []
    for fact in named.iterator(chunk_size=PORTION):
        portion.append(fact)
        if len(portion) == PORTION:
            yield from _not_theirs(portion)
            portion = []
    yield from _not_theirs(portion)


def _not_theirs(facts: list[Fact]) -> Iterator[tuple[Fact, str]]:
    numbers = {consent for fact in facts for consent in fact.consents}
    given = ConsentEvent.objects.filter(pk__in=numbers, action__in=YES)
    owners = {
        pk: {profile, merged_into}
        for pk, profile, merged_into in given.values_list("pk", "profile", "profile__merged_into")
    }
    for fact in facts:
        if any(fact.profile_id not in owners.get(consent, set()) for consent in fact.consents):
            yield fact, NOT_THEIRS
