"""A customer is forgotten: everything about her leaves in one transaction, her rows in the lake by a job."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Sequence

from django.db import transaction
from django.db.models import Q

from regulars.accounts.models import Account
from regulars.base.conditions import event_terms
from regulars.base.errors import Invalid
from regulars.consent.erasures import fingerprint, keep_ledger, record_erasure, suppress
from regulars.consent.models import Erasure, Retention
from regulars.destinations.disclosures import queue_erasure_requests
from regulars.enrichment.models import Lookup
from regulars.events.models import Event, InboxItem
from regulars.profiles.models import Profile, ProviderAnswer

from .lake import queue_lake_fill, queue_lake_purge, queue_lake_removal
from .personal_data import count, end_sessions, forget_mails, names_of, rows_of, sweep
from .revoke_upstream_grants import revoke_for_erasure
from .unit_of_work import changes

LEDGER = "ledger"
Mode = Erasure.Mode


@transaction.atomic
def erase_customer(profile: Profile, asked_by: str = "api", *, keep_events: bool = False) -> Erasure:
    """Delete the profile and those merged into it with all that hangs on them, and every text that names her.

    What stays: her decisions as nobody's, as long as the retention of the ledger says; a fingerprint of her address if
    she had asked not to be written to; with `keep_events` what happened, without her. Whoever was told of her is asked
    to forget her too (`destinations.disclosures`), and her networks to end what she allowed us (`revoke_for_erasure`). The
    proof counts rows before and after.
    """
    everybody = [profile, *profile.merged.all()]
    list(Profile.objects.select_for_update().filter(pk__in=[each.pk for each in everybody]).order_by("pk"))
    names, rows = names_of(everybody), rows_of(everybody)
    before = count(rows)
    erasure = Erasure(asked_by=asked_by, mode=Mode.ANONYMISED if keep_events else Mode.ERASED)
    erasure.who = sorted(fingerprint(each.user_id) for each in everybody)
    erasure.profiles = [each.pk for each in everybody]
    erasure.disclosures = [row.pk for row in queue_erasure_requests(everybody)]
    revoke_for_erasure(everybody, erasure.pk)
    suppress(everybody)
    if Retention.objects.filter(kind=LEDGER).values_list("days", flat=True).first() != 0:
        keep_ledger(everybody)
    swept = _delete(everybody, keep_events=keep_events) | sweep(names)
    after = count(rows_of(everybody))
    erasure.removed = {label: [number, after.get(label, 0)] for label, number in (swept | before).items()}
    record_erasure(erasure)
    transaction.on_commit(lambda: forget_mails(names) and None)
    return erasure


def erase_all(profiles: Sequence[Profile], asked_by: str) -> int:
    """One after the other, each in a transaction of her own. Returns how many."""
    for profile in profiles:
        erase_customer(profile, asked_by)
    return len(profiles)


def erase_period(profile: Profile, since: dt.datetime, until: dt.datetime, asked_by: str = "operator") -> Erasure:
    """Forget what happened and was learned of her from `since` until before `until`; she herself stays.

    Raises `Invalid("bad_period")`.
    """
    if since >= until:
        raise Invalid("bad_period", "A period ends after it begins.")
    with changes(profile, "erased_period") as c:
        profile = c.profile
        erasure = Erasure(asked_by=asked_by, mode=Mode.PERIOD, since=since, until=until)
        erasure.who = [fingerprint(profile.user_id)]
        events = Event.objects.filter(profile_id=profile.pk, at__gte=since, at__lt=until)
        went = {
            "events.InboxItem": InboxItem.objects.filter(message_id__in=events.values("message_id")).delete()[0],
            "events.Event": events.delete()[0],
            "profiles.Fact": _delete_facts(profile, since, until),
            "questions.Impression": profile.impressions.filter(shown_at__gte=since, shown_at__lt=until).delete()[0],
            "profiles.ProviderAnswer": ProviderAnswer.objects.filter(
                identity__profile=profile, at__gte=since, at__lt=until
            ).delete()[0],
            "enrichment.Lookup": Lookup.objects.filter(
                profile=profile, asked_at__gte=since, asked_at__lt=until
            ).delete()[0],
        }
        erasure.removed = {label: [number, 0] for label, number in went.items() if number}
        _write_lake_anew(profile)
        c.refresh()
        record_erasure(erasure)
    return erasure


def find_customers(name: str) -> list[Profile]:
    """Everybody known by this user id, address, telephone number, or id at a network, of a browser or of the company."""
    known = (
        Q(user_id=name)
        | Q(account__email__iexact=name)
        | Q(identities__provider_user_id=name)
        | Q(facts__attribute__in=("email", "phone_number"), facts__value=name)
    )
    found = Profile.objects.filter(known).select_related("merged_into").distinct().order_by("pk")
    return list({(each.merged_into or each).pk: each.merged_into or each for each in found}.values())


def _delete(everybody: list[Profile], *, keep_events: bool) -> dict[str, int]:
    """The rows that hang on her. Returns those that do not count as hers by a relation: table → rows."""
    numbers = [each.pk for each in everybody]
    accounts = [each.account_id for each in everybody if each.account_id]
    events = Event.objects.filter(profile_id__in=numbers)
    inbox = InboxItem.objects.filter(message_id__in=events.values("message_id")).delete()[0]
    if keep_events:
        _strip(numbers)
    else:
        events.delete()
    sessions = end_sessions(accounts)
    Profile.objects.filter(pk__in=numbers).delete()
    Account.objects.filter(pk__in=accounts).delete()
    queue_lake_removal(numbers)
    queue_lake_fill()
    queue_lake_purge()
    return {key: number for key, number in (("events.InboxItem", inbox), ("sessions.Session", sessions)) if number}


def _strip(numbers: list[int]) -> None:
    """What happened, without who: one random number for the person, no text, no ids."""
    nobody = -secrets.randbits(60) - 1
    events = list(Event.objects.filter(profile_id__in=numbers))
    for event in events:
        event.profile_id, event.message_id = nobody, f"anonymous-{uuid.uuid4()}"
        event.properties = {key: value for key, value in event.properties.items() if isinstance(value, int | float)}
        event.terms, event.context, event.lake_batch, event.lake_at = event_terms(event.properties), {}, None, None
    fields = ["profile_id", "message_id", "properties", "terms", "context", "lake_batch", "lake_at"]
    Event.objects.bulk_update(events, fields, batch_size=200)


def _delete_facts(profile: Profile, since: dt.datetime, until: dt.datetime) -> int:
    """With everything concluded from them."""
    gone = set(profile.facts.filter(collected_at__gte=since, collected_at__lt=until).values_list("id", flat=True))
    for fact in profile.facts.exclude(derived_from=[]).order_by("id"):
        if gone.intersection(fact.derived_from):
            gone.add(fact.pk)
    return profile.facts.filter(pk__in=gone).delete()[0]


def _write_lake_anew(profile: Profile) -> None:
    Event.objects.filter(profile_id=profile.pk).update(lake_batch=None, lake_at=None)
    profile.permitted_views.update(lake_at=None)
    queue_lake_removal([profile.pk])
    queue_lake_fill()
    queue_lake_purge()
