"""Retention: how long each kind of data is kept. The worker deletes older rows, a portion at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from django.db.models import Model, QuerySet

from regulars.base import clock
from regulars.base.errors import Invalid
from regulars.consent.effective import YES
from regulars.consent.models import ConsentState, ErasedIdentifier, KeptDecision, Retention
from regulars.consent.status import ConsentStatus
from regulars.enrichment.models import Lookup
from regulars.events.models import Event, InboxItem, Rejection, SourceCount
from regulars.profiles.find import ANONYMOUS, customers
from regulars.profiles.models import Fact, Profile, ProviderAnswer
from regulars.rules.models import RuleRun

from .erase import ERASED_IDS, LEDGER, RETENTION, erase_all
from .lake import queue_lake_expiry

PORTION = 1000
LONGEST = 36_500


@dataclass(frozen=True)
class DataKind:
    """A kind of data. `rows` finds rows older than a moment; `days` is the default, None for ever."""

    label: str
    days: int | None
    rows: Callable[[dt.datetime], QuerySet[Model]]
    ends: Callable[[QuerySet[Model], dt.datetime], int] | None = None


def _closed_facts(before: dt.datetime) -> QuerySet[Fact]:
    """Return facts whose consent was withdrawn or expired before then, and which have been closed to every use since.

    At most a portion at once. Conclusions inherit the consents of their premises, and so are included.
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
    """Return visitors who never signed in and were not seen since."""
    visitors = Profile.objects.filter(user_id__startswith=ANONYMOUS, account=None, merged_into=None)
    return visitors.filter(last_seen_at__lt=before) | visitors.filter(last_seen_at=None, created_at__lt=before)


def _customers(before: dt.datetime) -> QuerySet[Profile]:
    known = customers()
    return known.filter(last_seen_at__lt=before) | known.filter(last_seen_at=None, created_at__lt=before)


def _erase_profiles(rows: QuerySet[Model], before: dt.datetime) -> int:
    return erase_all([each for each in rows if isinstance(each, Profile)], RETENTION)


def _delete_events(rows: QuerySet[Model], before: dt.datetime) -> int:
    queue_lake_expiry(before)
    return rows.delete()[0]


KINDS: dict[str, DataKind] = {
    "retracted": DataKind("Retracted facts", 30, lambda before: Fact.objects.filter(retracted_at__lt=before)),
    "closed": DataKind("Facts whose consent was withdrawn", 30, _closed_facts),
    "inbox": DataKind("Messages as received", 30, lambda before: InboxItem.objects.filter(processed_at__lt=before)),
    "refused": DataKind("Rejected messages", 30, lambda before: Rejection.objects.filter(at__lt=before)),
    "event_counts": DataKind(
        "Counts of what sources sent in vain", 365, lambda before: SourceCount.objects.filter(day__lt=before.date())
    ),
    "rule_runs": DataKind("Runs of rules", 90, lambda before: RuleRun.objects.filter(at__lt=before)),
    "provider_answers": DataKind(
        "Answers of providers", 365, lambda before: ProviderAnswer.objects.filter(at__lt=before)
    ),
    "lookups": DataKind(
        "Answers of look-ups", 365, lambda before: Lookup.objects.filter(fresh_until__lt=before, asked_at__lt=before)
    ),
    "events": DataKind("Events of customers", None, lambda before: Event.objects.filter(at__lt=before), _delete_events),
    "visitors": DataKind("Visitors who never signed in", 395, _visitors, _erase_profiles),
    "customers": DataKind("Inactive customers", None, _customers, _erase_profiles),
    LEDGER: DataKind(
        "Decisions of erased customers", 1095, lambda before: KeptDecision.objects.filter(erased_at__lt=before)
    ),
    ERASED_IDS: DataKind(
        "Fingerprints of erased customers' ids, refused in events",
        90,
        lambda before: ErasedIdentifier.objects.filter(at__lt=before),
    ),
}


def days_of() -> dict[str, int | None]:
    """Return kind → days it is kept here; None: for ever."""
    kept = dict(Retention.objects.values_list("kind", "days"))
    return {key: kept.get(key, kind.days) for key, kind in KINDS.items()}


def set_retention(kind: str, days: int | None) -> None:
    """Set how many days a kind is kept. Raises `DomainError`: `unknown_kind`, `bad_days`."""
    if kind not in KINDS:
        raise Invalid("unknown_kind", f"There is no kind of data called {kind!r}.")
    least = 0 if kind in (LEDGER, ERASED_IDS) else 1
    if days is not None and not least <= days <= LONGEST:
        raise Invalid("bad_days", f"Write a number of days from {least} to {LONGEST:,}, or nothing for ever.", kind)
    Retention.objects.update_or_create(kind=kind, defaults={"days": days})


def apply_retention() -> dict[str, int]:
    """Delete everything older than its retention. Returns kind → rows. The worker runs it daily."""
    deleted: dict[str, int] = {}
    for key, days in days_of().items():
        if days is None:
            continue
        kind, before = KINDS[key], clock.now() - dt.timedelta(days=days)
        deleted[key] = 0
        # A portion at a time, each in its own transaction, so that other writers do not wait for the whole.
        while ids := list(kind.rows(before).order_by("pk").values_list("pk", flat=True)[:PORTION]):
            rows = kind.rows(before).model._default_manager.filter(pk__in=ids)
            if not (kind.ends(rows, before) if kind.ends else rows.delete()[0]):
                break
            deleted[key] += len(ids)
    return deleted
