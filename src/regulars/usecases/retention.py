"""Retention: how long each kind of data is kept. The worker deletes older rows, a portion at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from django.apps import apps
from django.db import transaction
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from regulars.base import clock
from regulars.base.db.deadlocks import repeat_after_deadlock
from regulars.base.db.portions import portions
from regulars.base.errors import Invalid
from regulars.base.jobs.models import Job
from regulars.consent.fold import NO
from regulars.consent.journal import RETENTION as JOURNAL
from regulars.consent.journal import WITHOUT_END, end_before
from regulars.consent.models import ConsentEvent, ErasedIdentifier, JournalEntry, KeptDecision, Purpose, Retention
from regulars.consent.status import ConsentStatus
from regulars.destinations.deletion_requests import give_up
from regulars.destinations.disclosures import GIVEN_UP
from regulars.destinations.manual_requests import give_up_manually
from regulars.destinations.models import Delivery, Disclosure, ManualRequest
from regulars.enrichment.models import Lookup, SourceDay
from regulars.events.models import Event, InboxItem, Rejection, SourceCount
from regulars.profiles.find import customers
from regulars.profiles.known_customers import ANONYMOUS
from regulars.profiles.models import Fact, Profile, ProviderAnswer, RefusedGuess
from regulars.profiles.upstream_tokens import UpstreamRevocation
from regulars.questions.models import Impression
from regulars.rules.models import RuleRun

from .erase import ERASED_IDS, LEDGER, RETENTION, erase_customer, erase_nameless_visitors
from .lake import queue_lake_expiry
from .personal_data import delete_mails_before

PORTION = 1000
LONGEST = 36_500


@dataclass(frozen=True)
class DataKind:
    """A kind of data. `days` is the default, and `why` the reason for it.

    `rows` finds rows older than a moment; where a query cannot tell them, it yields them in portions while it looks. `files`
    deletes files that are older, and returns how many.
    """

    label: str
    days: int
    why: str
    rows: Callable[[dt.datetime], QuerySet[Model] | Iterator[QuerySet[Model]]] = lambda before: iter(())
    ends: Callable[[QuerySet[Model], dt.datetime], int] | None = None
    files: Callable[[dt.datetime], int] | None = None


def _closed_facts(before: dt.datetime) -> Iterator[QuerySet[Model]]:
    """Yield facts whose consent was withdrawn or ran out before then, and which have been closed to every use since.

    Each customer is looked at once. Conclusions inherit the consents of their premises, and so are included.
    """
    may_close = Fact.objects.filter(retracted_at=None).exclude(basis=Purpose.Basis.CONTRACT, consents=[])
    people = Profile.objects.filter(Exists(may_close.filter(profile=OuterRef("pk"))))
    found: list[int] = []
    for profiles in portions(people.exclude(closed_consents=[], closed_interests=[]), PORTION):
        statuses = ConsentStatus.of(profiles, clock.now())
        facts = may_close.filter(profile__in=profiles)
        closed = [fact for fact in facts if not statuses[fact.profile_id].fact_stands(fact)]
        consents = ConsentEvent.objects.in_bulk({number for fact in closed for number in fact.consents})
        refusals = _refusals(profiles, before)
        for fact in closed:
            under = [consents[number] for number in fact.consents if number in consents]
            since = [(each.purpose_id, each.at) for each in under] or [(fact.purpose, fact.collected_at)]
            ends = refusals.get(fact.profile_id, [])
            if any(key in ("", purpose) and at <= end for key, at in since for purpose, end in ends):
                found.append(fact.pk)
        while len(found) >= PORTION:
            yield Fact.objects.filter(pk__in=found[:PORTION])
            del found[:PORTION]
    if found:
        yield Fact.objects.filter(pk__in=found)


def _refusals(profiles: Sequence[Profile], before: dt.datetime) -> dict[int, list[tuple[str, dt.datetime]]]:
    """Return profile id → purpose and time of each no before then, with those of profiles that were merged into it."""
    own_or_merged = Q(profile__in=profiles) | Q(profile__merged_into__in=profiles)
    events = ConsentEvent.objects.filter(own_or_merged, action__in=NO, at__lt=before)
    found: dict[int, list[tuple[str, dt.datetime]]] = {}
    for profile, merged_into, purpose, at in events.values_list("profile", "profile__merged_into", "purpose", "at"):
        found.setdefault(merged_into or profile, []).append((purpose, at))
    return found


def _unconfirmed(before: dt.datetime) -> Iterator[QuerySet[Model]]:
    """Yield portions of the requests about erased customers that no destination and no member of staff confirmed."""
    asked = Disclosure.objects.filter(profile=None, erase=True, asked_at__lt=before)
    yield from _first_portions(asked.exclude(Q(state=Disclosure.State.REMOVED) | Q(error=GIVEN_UP)))
    by_hand = ManualRequest.objects.filter(profile=None, done_at=None, asked_at__lt=before)
    yield from _first_portions(by_hand.exclude(done_by=GIVEN_UP))


def _proofs_of_removal(before: dt.datetime) -> Iterator[QuerySet[Model]]:
    """Yield portions of what was deleted elsewhere, by destinations and by hand."""
    removed = Disclosure.objects.filter(profile=None, state=Disclosure.State.REMOVED, confirmed_at__lt=before)
    yield from _first_portions(removed)
    yield from _first_portions(ManualRequest.objects.filter(profile=None, done_at__lt=before))


def _visitors(before: dt.datetime) -> QuerySet[Profile]:
    """Return visitors who never signed in and were not seen since."""
    visitors = Profile.objects.filter(user_id__startswith=ANONYMOUS, account=None, merged_into=None)
    return visitors.filter(last_seen_at__lt=before) | visitors.filter(last_seen_at=None, created_at__lt=before)


def _customers(before: dt.datetime) -> QuerySet[Profile]:
    known = customers().filter(restricted_at=None)  # a customer may need it for a claim (Art. 18 (1) (c) GDPR)
    return known.filter(last_seen_at__lt=before) | known.filter(last_seen_at=None, created_at__lt=before)


def _erase_profiles(rows: QuerySet[Model], before: dt.datetime) -> int:
    """Erase one after the other, but for those who came back, or were restricted, while others were erased."""
    return sum(_erase_inactive(rows, number) for number in list(rows.values_list("pk", flat=True)))


def _erase_visitors(rows: QuerySet[Model], before: dt.datetime) -> int:
    """Erase those without a name together, and the others one after the other."""
    return erase_nameless_visitors(cast("QuerySet[Profile]", rows)) + _erase_profiles(rows, before)


@repeat_after_deadlock
@transaction.atomic
def _erase_inactive(rows: QuerySet[Model], number: int) -> bool:
    profile = rows.select_for_update().filter(pk=number).first()
    if isinstance(profile, Profile):
        erase_customer(profile, RETENTION)
    return profile is not None


def _day_counts(before: dt.datetime) -> Iterator[QuerySet[Model]]:
    for rows in (SourceDay.objects.filter(day__lt=before.date()), RefusedGuess.objects.filter(day__lt=before.date())):
        yield from _first_portions(rows)


def _delete_events(rows: QuerySet[Model], before: dt.datetime) -> int:
    queue_lake_expiry(before)
    return rows.delete()[0]


KINDS: dict[str, DataKind] = {
    "retracted": DataKind(
        "Retracted facts",
        30,
        "time to notice a mistake",
        lambda before: Fact.objects.filter(retracted_at__lt=before),
    ),
    "closed": DataKind("Facts whose consent was withdrawn", 30, "time to give the same consent again", _closed_facts),
    "inbox": DataKind(
        "Messages as received",
        30,
        "time to find out why a source sent what it did",
        lambda before: InboxItem.objects.filter(processed_at__lt=before),
    ),
    "refused": DataKind(
        "Rejected messages",
        30,
        "time to correct a source",
        lambda before: Rejection.objects.filter(at__lt=before),
    ),
    "event_counts": DataKind(
        "Counts of what sources sent in vain",
        365,
        "figures without customers",
        lambda before: SourceCount.objects.filter(day__lt=before.date()),
    ),
    "rule_runs": DataKind(
        "Runs of rules",
        90,
        "time to find a fault of a rule; inputs go after REGULARS_RULE_INPUT_DAYS",
        lambda before: RuleRun.objects.filter(at__lt=before),
    ),
    "provider_answers": DataKind(
        "Answers of providers",
        365,
        "proof of what a customer shared; facts are kept beside them",
        lambda before: ProviderAnswer.objects.filter(at__lt=before),
    ),
    "lookups": DataKind(
        "Answers of look-ups",
        365,
        "a year after they are no longer fresh",
        lambda before: Lookup.objects.filter(fresh_until__lt=before, asked_at__lt=before),
    ),
    "deliveries": DataKind(
        "Records of messages to destinations",
        90,
        "time to send failed ones again; what was disclosed is kept beside them",
        lambda before: Delivery.objects.filter(finished_at__lt=before),
    ),
    "deletion_requests": DataKind(
        "What destinations that did not confirm know erased customers by",
        365,
        "time to reach a destination and ask again",
        lambda before: _unconfirmed(before),
        lambda rows, before: (
            give_up_manually(ManualRequest.objects.filter(pk__in=rows.values("pk")))
            if rows.model is ManualRequest
            else give_up(Disclosure.objects.filter(pk__in=rows.values("pk")))
        ),
    ),
    "removed_disclosures": DataKind(
        "Proofs that a destination deleted an erased customer",
        1095,
        "until claims lapse; they name no customer",
        lambda before: _proofs_of_removal(before),
    ),
    "ended_grants": DataKind(
        "Requests to providers to end a grant",
        400,
        "a year to ask a provider about it; they name no customer",
        lambda before: UpstreamRevocation.objects.filter(over_at__lt=before),
    ),
    "day_counts": DataKind(
        "Counts of look-ups and of refused guesses by day",
        400,
        "figures of a year without customers",
        _day_counts,
    ),
    "questions_shown": DataKind(
        "Questions that were shown and not answered",
        400,
        "a year to learn when a question is a nuisance; answers are kept",
        lambda before: Impression.objects.filter(
            shown_at__lt=before, outcome=Impression.Outcome.SHOWN, followed_by=None
        ),
    ),
    "mails": DataKind(
        "Mails in files, where no mail server is set",
        30,
        "time to try out; a mail server keeps none",
        files=delete_mails_before,
    ),
    "failed_jobs": DataKind(
        "Failed background work",
        90,
        "time to correct the cause and try again",
        lambda before: Job.objects.filter(state=Job.State.FAILED, finished_at__lt=before),
    ),
    "staff_log": DataKind(
        "Log of what staff did",
        730,
        "a misuse that is found late can be traced",
        # Of an interface, which registers its table with Django as every package does.
        lambda before: apps.get_model("console", "AuditEntry")._default_manager.filter(at__lt=before),
    ),
    "sent_forms": DataKind(
        "Numbers of forms that staff sent",
        7,
        "a form that stays open is sent a second time by mistake",
        lambda before: apps.get_model("console", "SentForm")._default_manager.filter(at__lt=before),
    ),
    "events": DataKind(
        "Events of customers",
        760,
        "two years of seasons to compare, and a month",
        lambda before: Event.objects.filter(at__lt=before),
        _delete_events,
    ),
    "visitors": DataKind(
        "Visitors who never signed in", 395, "a year of seasons, and a month", _visitors, _erase_visitors
    ),
    "customers": DataKind(
        "Inactive customers", 1095, "three years without a visit: they left", _customers, _erase_profiles
    ),
    LEDGER: DataKind(
        "Decisions of erased customers",
        1095,
        "proof of consent, until claims lapse",
        lambda before: KeptDecision.objects.filter(erased_at__lt=before),
    ),
    ERASED_IDS: DataKind(
        "Fingerprints of erased customers' ids, refused in events",
        90,
        "phones and servers send late",
        lambda before: ErasedIdentifier.objects.filter(at__lt=before),
    ),
    JOURNAL: DataKind(
        "Journal of decisions, deletions and corrections, for restores",
        400,
        "as long as backups are kept, and a month",
        lambda before: JournalEntry.objects.filter(at__lt=before).exclude(kind__in=WITHOUT_END),
        end_before,
    ),
}
ERASING = {"visitors": _visitors, "customers": _customers}  # kinds whose end erases persons
NOTICE = dt.timedelta(days=30)  # staff read of erasures so long before


@dataclass(frozen=True)
class Upcoming:
    """Persons of one kind who are erased within `NOTICE` because of its retention. `first`: when the first of them is."""

    kind: str
    label: str
    number: int
    first: dt.datetime


def days_of() -> dict[str, int | None]:
    """Return kind → days it is kept here; None: for ever."""
    kept = dict(Retention.objects.values_list("kind", "days"))
    return {key: kept.get(key, kind.days) for key, kind in KINDS.items()}


def starts() -> dict[str, dt.datetime]:
    """Return the kinds of which nothing is deleted yet, and when that begins: an upgrade made them finite."""
    waiting = Retention.objects.filter(starts_at__gt=clock.now()).values_list("kind", "starts_at")
    return {kind: starts_at for kind, starts_at in waiting if starts_at}


def upcoming() -> list[Upcoming]:
    """Return how many persons retention erases within `NOTICE`, by kind; none of a kind without any."""
    now, days, waiting = clock.now(), days_of(), starts()
    found = []
    for key, inactive in ERASING.items():
        kept = days[key]
        if kept is None:
            continue
        lasts = dt.timedelta(days=kept)
        rows = inactive(now + NOTICE - lasts)
        if number := rows.count():
            seen = rows.annotate(seen=Coalesce("last_seen_at", "created_at")).order_by("seen").values_list("seen")[0][0]
            first = max(seen + lasts, waiting.get(key, now), now)
            if first <= now + NOTICE:
                found.append(Upcoming(key, KINDS[key].label, number, first))
    return found


def set_retention(kind: str, days: int | None) -> None:
    """Set how many days a kind is kept, from now on. Raises `DomainError`: `unknown_kind`, `bad_days`."""
    if kind not in KINDS:
        raise Invalid("unknown_kind", f"There is no kind of data called {kind!r}.")
    least = 0 if kind in (LEDGER, ERASED_IDS) else 1
    if days is not None and not least <= days <= LONGEST:
        raise Invalid("bad_days", f"Write a number of days from {least} to {LONGEST:,}, or nothing for ever.", kind)
    saved = Retention.objects.filter(kind=kind).first()
    if saved is None or saved.days != days:  # saving a form unchanged does not end a grace period
        Retention.objects.update_or_create(kind=kind, defaults={"days": days, "starts_at": None})


def apply_retention() -> dict[str, int]:
    """Delete everything older than its retention. Returns kind → rows. The worker runs it daily."""
    deleted: dict[str, int] = {}
    waiting = starts()
    for key, days in days_of().items():
        if days is None or key in waiting:
            continue
        kind, before = KINDS[key], clock.now() - dt.timedelta(days=days)
        deleted[key] = kind.files(before) if kind.files else 0
        found = kind.rows(before)
        # A portion at a time, each in its own transaction, so that other writers do not wait for the whole.
        for rows in _first_portions(found) if isinstance(found, QuerySet) else found:
            number = rows.count()
            if not (kind.ends(rows, before) if kind.ends else rows.delete()[0]):
                break
            deleted[key] += number
    return deleted


def _first_portions(rows: QuerySet[Model]) -> Iterator[QuerySet[Model]]:
    """Yield the first rows while there are any. The caller deletes them meanwhile."""
    while numbers := list(rows.order_by("pk").values_list("pk", flat=True)[:PORTION]):
        yield rows.filter(pk__in=numbers)
