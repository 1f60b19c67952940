"""After an upgrade: join the facts that a source repeated, which were stored again at every login before.

The oldest fact stays, with the decision that it was given under, and is confirmed by the last. What each login brought is
still in the answers of the provider, in the ledger and in the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Count

from regulars.base.jobs.tasks import enqueue, handles
from regulars.base.json_values import same_json
from regulars.consent.ledger import first_of_equal
from regulars.profiles.assertions import voice
from regulars.profiles.models import Fact, Profile
from regulars.profiles.resolve import expired

from .unit_of_work import changes

JOB = "profiles.join_repeated_facts"  # queued by a migration
PORTION = 50  # about a second on a busy machine, in which SQLite has no other writer


@handles(JOB)
def join_repeated_facts(payload: dict[str, Any]) -> None:
    """Payload: `{"after": profile id}`. Join the facts of the next portion of customers, and queue the one after it."""
    live = Fact.objects.filter(retracted_at=None, profile_id__gt=payload["after"])
    repeated = live.values("profile_id", "attribute", "source").annotate(number=Count("id")).filter(number__gt=1)
    portion = list(dict.fromkeys(repeated.order_by("profile_id").values_list("profile_id", flat=True)[: PORTION * 10]))
    portion = portion[:PORTION]
    if not portion:
        return
    with changes(portion, "upgrade") as c:
        join_all(c.profiles)
    enqueue(JOB, {"after": portion[-1]}, key=JOB)


def join_all(profiles: Sequence[Profile]) -> int:
    """Join the repeated facts of locked customers. Returns how many rows went. No value in use changes by it."""
    first = first_of_equal(profiles)
    by_profile: dict[int, list[Fact]] = {}
    for fact in Fact.objects.filter(profile__in=profiles, retracted_at=None):
        by_profile.setdefault(fact.profile_id, []).append(fact)
    kept: dict[int, Fact] = {}
    moved: dict[int, Fact] = {}
    joined: dict[int, int] = {}
    for facts in by_profile.values():
        mine = _repeated(facts, first)
        joined |= {fact.pk: stays.pk for fact, stays in mine}
        kept |= {stays.pk: stays for _, stays in mine}
        for fact in facts:  # conclusions of what goes follow from what stays
            if fact.pk not in joined and joined.keys() & set(fact.derived_from):
                fact.derived_from = list(dict.fromkeys(joined.get(each, each) for each in fact.derived_from))
                moved[fact.pk] = fact
    Fact.objects.bulk_update(kept.values(), ["confirmed_at", "expires_at"], batch_size=200)
    Fact.objects.bulk_update(moved.values(), ["derived_from"], batch_size=200)
    gone = list(joined)
    for start in range(0, len(gone), 500):
        Fact.objects.filter(pk__in=gone[start : start + 500]).delete()
    return len(gone)


def _repeated(facts: Iterable[Fact], first: Mapping[int, int]) -> list[tuple[Fact, Fact]]:
    """Return each fact that repeats another, with the one that stays, which is confirmed here."""
    last: dict[tuple[object, ...], Fact] = {}
    found = []
    for fact in sorted(facts, key=lambda fact: (fact.as_of, fact.pk)):
        place = (fact.attribute, *voice(fact.source, fact.asserter), fact.identity_id)
        before = last.get(place)
        if before is not None and _repeats(fact, before, first):
            before.confirmed_at, before.expires_at = max(fact.as_of, before.as_of), fact.expires_at
            found.append((fact, before))
        else:
            last[place] = fact
    return found


def _repeats(fact: Fact, before: Fact, first: Mapping[int, int]) -> bool:
    """Return whether today's rules would have confirmed the earlier fact instead of writing this one (`profiles.learn`)."""
    decisions, earlier = ({first.get(each, each) for each in given.consents} for given in (fact, before))
    return (
        fact.value is not None
        and same_json(fact.value, before.value)
        and not expired(before, fact.collected_at)
        and decisions <= earlier
        and (fact.source_kind, fact.asserter, fact.origin) == (before.source_kind, before.asserter, before.origin)
    )
