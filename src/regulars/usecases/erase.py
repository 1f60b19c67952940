"""Erase customers: everything about them in one transaction, their rows in the lake by a job."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace

from django.db import transaction
from django.db.models import F, Q, QuerySet

from regulars.accounts.models import Account
from regulars.base.conditions import event_terms
from regulars.base.db.deadlocks import repeat_after_deadlock
from regulars.base.email_address import canonical_email
from regulars.base.errors import Invalid, NotFound
from regulars.consent.erasures import fingerprint, keep_ledger, record_erasure, refuse_identifiers
from regulars.consent.models import Erasure, JournalEntry, Retention
from regulars.consent.suppressions import suppress_erased
from regulars.destinations.disclosures import queue_erasure_requests
from regulars.destinations.manual_requests import request_erasures
from regulars.enrichment.models import Lookup
from regulars.events.models import Event, InboxItem
from regulars.profiles.contacts import facts_with, profiles_without_account, proved_contacts
from regulars.profiles.find import canonical_profile
from regulars.profiles.models import Fact, Profile, ProviderAnswer

from .lake import queue_lake_fill, queue_lake_purge, queue_lake_removal
from .personal_data import (
    NO_NAMES,
    Names,
    count,
    delete_mails,
    end_logins_that_name,
    identifiers_of,
    nameless,
    names_of,
    rows_of,
    sweep,
)
from .revoke_upstream_grants import revoke_for_erasure
from .unit_of_work import changes

LEDGER = "ledger"
ERASED_IDS = "erased_ids"
RETENTION = "retention"  # who asked, when a customer was inactive for too long
RESTORE = "restore"  # who asked, when a recorded erasure is repeated: it names every profile
Mode = Erasure.Mode


@repeat_after_deadlock  # the worker holds a message of theirs, which this deletes, and waits for their row
@transaction.atomic
def erase_customer(profile: Profile, asked_by: str = "api", *, keep_events: bool = False) -> Erasure:
    """Delete the profile and those merged into it with all their rows, and every text that names the customer.

    What stays: decisions without the customer, as long as the retention of the ledger says; a fingerprint of the address
    if the customer had objected to messages; fingerprints of their ids, under which events are refused for a while (not
    when nothing but the retention erases them); with `keep_events` anonymous events. Destinations that received data get
    deletion requests (`destinations.disclosures`), and providers are asked to end their grants (`revoke_for_erasure`). The
    proof counts rows before and after. Profiles without an account that are the same person, by an address or a number
    that the customer has proved, are erased too, and that contact is taken from other customers' accounts.

    It concerns the customer that the profile is by then: of one that was linked to another meanwhile, both are erased.
    Raises `NotFound("customer_erased")` when that happened already.
    """
    person = _hold(profile, asked_by)
    profiles = person.profiles
    _delete_contacts_of_others(person)
    names = names_of(profiles)
    erasure = Erasure(asked_by=asked_by, mode=Mode.ANONYMISED if keep_events else Mode.ERASED)
    erasure.who = sorted(fingerprint(each.user_id) for each in profiles)
    refused = identifiers_of(profiles) if asked_by != RETENTION and days_kept(ERASED_IDS) != 0 else ()
    erasure.identifiers = sorted({fingerprint(each) for each in refused})  # some differ in case alone
    refuse_identifiers(erasure.identifiers, erasure.at)
    erasure.profiles = [each.pk for each in profiles]
    request_erasures(profiles, erasure.pk)
    erasure.disclosures = [row.pk for row in queue_erasure_requests(profiles)]
    revoke_for_erasure(profiles, erasure.pk)
    suppress_erased(profiles)
    _finish(erasure, [profiles], names, keep_events=keep_events)
    # Before the commit: a process that is killed after it would leave them for ever, as the names are known to this transaction alone.
    delete_mails(names)
    return erasure


@repeat_after_deadlock
@transaction.atomic
def erase_nameless_visitors(visitors: QuerySet[Profile]) -> int:
    """Erase, of at most a thousand visitors, those who are known by the ids of browsers alone. Returns how many.

    For the retention: all in one transaction with one proof and one removal from the lake. No text is searched for them:
    what may hold the id of a browser (a message, a job, a refused event) is kept for a shorter time than a visitor.
    """
    found = list(nameless(visitors).values_list("pk", flat=True))
    both = Profile.objects.filter(pk__in=found) | Profile.objects.filter(merged_into__in=found)
    locked = list(both.select_for_update().order_by("pk"))
    # Who signed in, gave a name or came back before they were locked is no longer one of them.
    people: dict[int, list[Profile]] = {
        number: [] for number in nameless(visitors).filter(pk__in=found).values_list("pk", flat=True)
    }
    for each in locked:
        people.get(each.merged_into_id or each.pk, []).append(each)
    if not people:
        return 0
    everybody = [each for person in people.values() for each in person]
    erasure = Erasure(asked_by=RETENTION, who=sorted(fingerprint(each.user_id) for each in everybody))
    erasure.profiles = [each.pk for each in everybody]
    erasure.disclosures = [row.pk for row in queue_erasure_requests(everybody)]
    _finish(erasure, people.values(), NO_NAMES, keep_events=False)
    return len(people)


def _finish(erasure: Erasure, people: Collection[list[Profile]], names: Names, *, keep_events: bool) -> None:
    """Delete the rows of each person's profiles and the texts that name them, and record the proof."""
    profiles = [each for person in people for each in person]
    before = count(rows_of(profiles))
    if days_kept(LEDGER) != 0:
        keep_ledger(people)
    swept = _delete(profiles, names, keep_events=keep_events) | sweep(names)
    after = count(rows_of(profiles))
    removed = Counter(swept) + Counter(before)
    erasure.removed = {label: [number, after.get(label, 0)] for label, number in removed.items()}
    record_erasure(erasure)


def erase_period(profile: Profile, since: dt.datetime, until: dt.datetime, asked_by: str = "operator") -> Erasure:
    """Erase events and facts of a customer from `since` until before `until`; the customer stays.

    What a source said within the period and again after it counts from then on.

    Raises `Invalid("bad_period")`.
    """
    if since >= until:
        raise Invalid("bad_period", "A period ends after it begins.")
    with changes(profile, "erased_period") as c:
        profile = c.profile
        erasure = Erasure(asked_by=asked_by, mode=Mode.PERIOD, since=since, until=until)
        erasure.who = [fingerprint(profile.user_id)]
        events = Event.objects.filter(profile_id=profile.pk, at__gte=since, at__lt=until)
        said_since = profile.facts.filter(collected_at__gte=since, collected_at__lt=until, confirmed_at__gte=until)
        said_since.update(collected_at=F("confirmed_at"), confirmed_at=None)
        profile.facts.filter(confirmed_at__gte=since, confirmed_at__lt=until, collected_at__lt=since).update(
            confirmed_at=None
        )
        within = profile.facts.filter(collected_at__gte=since, collected_at__lt=until)
        facts = set(within.values_list("id", flat=True))
        for fact in profile.facts.exclude(derived_from=[]).order_by("id"):
            if facts.intersection(fact.derived_from):  # concluded from a fact of the period
                facts.add(fact.pk)
        removed = {
            "events.InboxItem": InboxItem.objects.filter(message_id__in=events.values("message_id")).delete()[0],
            "events.Event": events.delete()[0],
            "profiles.Fact": profile.facts.filter(pk__in=facts).delete()[0],
            "questions.Impression": profile.impressions.filter(shown_at__gte=since, shown_at__lt=until).delete()[0],
            "profiles.ProviderAnswer": ProviderAnswer.objects.filter(
                identity__profile=profile, at__gte=since, at__lt=until
            ).delete()[0],
            "enrichment.Lookup": Lookup.objects.filter(
                profile=profile, asked_at__gte=since, asked_at__lt=until
            ).delete()[0],
        }
        corrections = JournalEntry.objects.filter(profile=profile, kind=JournalEntry.Kind.CORRECTED)
        removed["consent.JournalEntry"] = corrections.filter(at__gte=since, at__lt=until).delete()[0]
        erasure.removed = {label: [number, 0] for label, number in removed.items() if number}
        Event.objects.filter(profile_id=profile.pk).update(lake_batch=None, lake_at=None)
        profile.permitted_views.update(lake_at=None)
        queue_lake_removal([profile.pk])
        queue_lake_fill()
        queue_lake_purge()
        c.refresh()
        record_erasure(erasure)
    return erasure


def days_kept(kind: str) -> int | None:
    """Return the days that were set for a kind of data; None: for ever, or its default."""
    return Retention.objects.filter(kind=kind).values_list("days", flat=True).first()


def find_customers(name: str) -> list[Profile]:
    """Return customers by user id, address, telephone number, or id at a provider, of a browser or of the company."""
    known = (
        Q(user_id=name)
        | Q(account__email__iexact=name)
        | Q(account__email__iexact=canonical_email(name))
        | Q(identities__provider_user_id=name)
        | Q(facts__attribute__in=("email", "phone_number"), facts__value__in=[name, canonical_email(name)])
    )
    found = Profile.objects.filter(known).select_related("merged_into").distinct().order_by("pk")
    return list({(each.merged_into or each).pk: each.merged_into or each for each in found}.values())


@dataclass(frozen=True)
class _Person:
    """Who is erased, in locked rows: their customer, and every profile of theirs.

    `unproved`: facts by which accounts of other customers hold a contact of theirs, by the id of that customer.
    """

    profile: Profile
    profiles: list[Profile]
    unproved: dict[int, list[Fact]]


def _hold(profile: Profile, asked_by: str) -> _Person:
    """Lock the rows of everyone whom an erasure concerns, in ascending order of their ids, and find them again under the locks.

    Who belongs to the person may change until their rows are locked: then the locks are given back, and all are taken anew.
    """
    wanted = {profile.pk}
    while True:
        with transaction.atomic():
            rows = {each.pk: each for each in Profile.objects.select_for_update().filter(pk__in=wanted).order_by("pk")}
            own = rows.get(profile.pk)
            if own is None:
                raise NotFound("customer_erased", "This customer was erased.")
            # What a restored backup repeats names every profile that it was about.
            target = own.pk if asked_by == RESTORE else own.merged_into_id or own.pk
            if target in rows:
                found = _person_of(rows[target], asked_by)
                missing = {each.pk for each in found.profiles} | found.unproved.keys()
                if missing <= rows.keys():
                    return replace(found, profiles=[rows[each.pk] for each in found.profiles])
                wanted |= missing
            wanted.add(target)
            transaction.set_rollback(True)


def _person_of(profile: Profile, asked_by: str) -> _Person:
    profiles = [profile, *profile.merged.order_by("pk")]
    contacts = set() if asked_by in (RETENTION, RESTORE) else proved_contacts(profile)
    if not contacts:
        return _Person(profile, profiles, {})
    others = profiles_without_account(contacts, but=profile)
    unproved: dict[int, list[Fact]] = {}
    for fact in facts_with(contacts, but=profile).exclude(profile__in=others):
        unproved.setdefault(canonical_profile(fact.profile).pk, []).append(fact)
    return _Person(profile, profiles + others, unproved)


def _delete_contacts_of_others(person: _Person) -> None:
    """Delete the person's contacts where another customer's account holds them unproved."""
    for owner, facts in person.unproved.items():
        with changes(owner, "erased") as c:
            own = proved_contacts(c.profile)
            gone = [fact for fact in facts if fact.contact not in own]
            c.retract(gone)
            c.profile.facts.filter(pk__in=[fact.pk for fact in gone]).delete()
            if gone:
                c.refresh()


def _delete(profiles: list[Profile], names: Names, *, keep_events: bool) -> dict[str, int]:
    """Delete the rows of the customers. Returns table → rows for those that no relation connects to them."""
    numbers = [each.pk for each in profiles]
    accounts = [each.account_id for each in profiles if each.account_id]
    events = Event.objects.filter(profile_id__in=numbers)
    inbox = InboxItem.objects.filter(message_id__in=events.values("message_id")).delete()[0]
    if keep_events:
        # One random number for the person, no text, no ids.
        anonymous_id = -secrets.randbits(60) - 1
        kept = list(events)
        for event in kept:
            event.profile_id, event.message_id = anonymous_id, f"anonymous-{uuid.uuid4()}"
            event.properties = {key: value for key, value in event.properties.items() if isinstance(value, int | float)}
            event.terms, event.context, event.lake_batch, event.lake_at = event_terms(event.properties), {}, None, None
            event.message, event.marks = {}, []
        fields = [
            *("profile_id", "message_id", "properties", "terms", "context", "message", "marks", "lake_batch", "lake_at")
        ]
        Event.objects.bulk_update(kept, fields, batch_size=200)
    else:
        events.delete()
    logins = end_logins_that_name(names) if names else 0
    Profile.objects.filter(pk__in=numbers).delete()
    Account.objects.filter(pk__in=accounts).delete()
    queue_lake_removal(numbers)
    queue_lake_fill()
    queue_lake_purge()
    return {key: number for key, number in (("events.InboxItem", inbox), ("accounts.StoredSession", logins)) if number}
