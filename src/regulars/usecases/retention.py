"""How long each kind of data is kept. The worker takes away what is older, a portion at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from django.db.models import Model, QuerySet

from regulars.base import clock
from regulars.base.errors import Invalid
from regulars.consent.effective import YES
from regulars.consent.models import ConsentState, KeptDecision, Retention
from regulars.consent.status import ConsentStatus
from regulars.enrichment.models import Lookup
from regulars.events.models import Event, InboxItem, Rejection
from regulars.profiles.find import ANONYMOUS, customers
from regulars.profiles.models import Fact, Profile, ProviderAnswer
from regulars.rules.models import RuleRun

from .erase import erase_all
from .lake import queue_lake_expiry

PORTION = 1000
LONGEST = 36_500


@dataclass(frozen=True)
class DataKind:
    """`rows` finds what is older than a moment; `days` is the default, None for ever."""

    label: str
    days: int | None
    rows: Callable[[dt.datetime], QuerySet[Model]]
    ends: Callable[[QuerySet[Model], dt.datetime], int] | None = None


def _closed_long_ago(before: dt.datetime) -> QuerySet[Fact]:
    """Given under a yes that was taken back (or ran out) before then, and closed to every use since: she may give it anew.

    At most a portion at once; facts inherit the consents of what they follow from, and so go along.
    """
    closed = ConsentState.objects.filter(since__lt=before).exclude(status__in=YES)
    purposes: dict[int, set[str]] = {}
    for profile_id, purpose in closed.values_list("profile_id", "purpose_id"):
        purposes.setdefault(profile_id, set()).add(purpose)
    found: list[int] = []
    people = Profile.objects.filter(pk__in=closed.values("profile")).iterator(PORTION)
    while len(found) < PORTION and (profiles := list(islice(people, PORTION))):
        statuses = ConsentStatus.of(profiles, clock.now())
        given = Fact.objects.filter(profile__in=profiles, retracted_at=None).exclude(consents=[])
        found += [
            each.pk for each in given if statuses[each.profile_id].consented_purposes(each) & purposes[each.profile_id]
        ]
    return Fact.objects.filter(pk__in=found[:PORTION])


def _visitors(before: dt.datetime) -> QuerySet[Profile]:
    """Who never signed in and was not seen since."""
    nameless = Profile.objects.filter(user_id__startswith=ANONYMOUS, account=None, merged_into=None)
    return nameless.filter(last_seen_at__lt=before) | nameless.filter(last_seen_at=None, created_at__lt=before)


def _customers(before: dt.datetime) -> QuerySet[Profile]:
    known = customers()
    return known.filter(last_seen_at__lt=before) | known.filter(last_seen_at=None, created_at__lt=before)


def _forget(rows: QuerySet[Model], before: dt.datetime) -> int:
    return erase_all([each for each in rows if isinstance(each, Profile)], "retention")


def _delete(rows: QuerySet[Model], before: dt.datetime) -> int:
    return rows.delete()[0]


def _delete_events(rows: QuerySet[Model], before: dt.datetime) -> int:
    queue_lake_expiry(before)
    return rows.delete()[0]


KINDS: dict[str, DataKind] = {
    "taken_back": DataKind(
        "Facts that were taken back", 30, lambda before: Fact.objects.filter(retracted_at__lt=before)
    ),
    "closed": DataKind("Facts whose consent was taken back", 30, _closed_long_ago),
    "inbox": DataKind("Messages as they came", 30, lambda before: InboxItem.objects.filter(processed_at__lt=before)),
    "refused": DataKind("Messages that were refused", 30, lambda before: Rejection.objects.filter(at__lt=before)),
    "rule_runs": DataKind("What rules did", 90, lambda before: RuleRun.objects.filter(at__lt=before)),
    "provider_answers": DataKind(
        "What networks said, unchanged", 365, lambda before: ProviderAnswer.objects.filter(at__lt=before)
    ),
    "lookups": DataKind(
        "Answers of look-ups", 365, lambda before: Lookup.objects.filter(fresh_until__lt=before, asked_at__lt=before)
    ),
    "events": DataKind("What customers did", None, lambda before: Event.objects.filter(at__lt=before), _delete_events),
    "visitors": DataKind("Visitors who never signed in", 395, _visitors, _forget),
    "customers": DataKind("Customers who were not seen", None, _customers, _forget),
    "ledger": DataKind(
        "Decisions of people who were erased", 1095, lambda before: KeptDecision.objects.filter(erased_at__lt=before)
    ),
}


def days_of() -> dict[str, int | None]:
    """Kind → days it is kept here; None: for ever."""
    kept = dict(Retention.objects.values_list("kind", "days"))
    return {key: kept.get(key, kind.days) for key, kind in KINDS.items()}


def set_retention(kind: str, days: int | None) -> None:
    """Keep a kind for so many days from now on. Raises `DomainError`: `unknown_kind`, `bad_days`."""
    if kind not in KINDS:
        raise Invalid("unknown_kind", f"There is no kind of data called {kind!r}.")
    least = 0 if kind == "ledger" else 1
    if days is not None and not least <= days <= LONGEST:
        raise Invalid("bad_days", f"Write a number of days from {least} to {LONGEST:,}, or nothing for ever.", kind)
    Retention.objects.update_or_create(kind=kind, defaults={"days": days})


def apply_retention() -> dict[str, int]:
    """Kind → how many rows went. Daily, by the worker."""
    return {key: _take_away(KINDS[key], days) for key, days in days_of().items() if days is not None}


def _take_away(kind: DataKind, days: int) -> int:
    """A portion at a time, each a transaction of its own: nobody waits for the whole."""
    before = clock.now() - dt.timedelta(days=days)
    ends = kind.ends or _delete
    gone = 0
    while ids := list(kind.rows(before).order_by("pk").values_list("pk", flat=True)[:PORTION]):
        model = kind.rows(before).model
        if not ends(model._default_manager.filter(pk__in=ids), before):
            break
        gone += len(ids)
    return gone
