"""Record what look-up sources and applications of other companies are given, before they are given it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import transaction

from regulars.base.errors import Invalid
from regulars.clients.cache import find_client
from regulars.clients.models import Client
from regulars.consent.view import served_user
from regulars.destinations.direct_disclosures import Kind, Receiver, record_direct, record_readings
from regulars.destinations.disclosures import DisclosureRecord, disclosures_of
from regulars.destinations.models import Disclosure
from regulars.enrichment.look_up import permitted_source
from regulars.enrichment.models import SourceSetting
from regulars.enrichment.source import EnrichmentSource
from regulars.oauth.claims import claims_of
from regulars.profiles.assertions import Place
from regulars.profiles.find import find_by_user_id
from regulars.profiles.models import Profile
from regulars.rules.models import RuleRun

from .recipients import SERVED, RecipientKind, lookup_recipient
from .rule_calls import NOT_MADE

LONGEST_NAME = 255  # characters of a claim that a rule names
MOST_RUNS = 500  # sign-ins whose calls are looked at, the newest first


def all_disclosures_of(profile: Profile) -> list[DisclosureRecord]:
    """Return every disclosure about a customer, newest first.

    Calls of rules from before they were recorded are in the records of runs alone, as long as these are kept.
    """
    found = disclosures_of(profile)
    known = {each.place for each in found if each.kind == RecipientKind.RULE_HOST}
    return sorted([*found, *_rule_hosts(profile, known)], key=lambda each: each.last_at, reverse=True)


def _rule_hosts(profile: Profile, known: Collection[str]) -> list[DisclosureRecord]:
    times: dict[str, list[dt.datetime]] = {}
    runs = RuleRun.objects.filter(profile__in=[profile, *profile.merged.all()]).order_by("-id")
    for at, steps in runs.values_list("at", "steps")[:MOST_RUNS]:
        for step in steps:
            for request in step.get("requests", ()):
                if request["host"] in known or request.get("code") in NOT_MADE:
                    continue
                times.setdefault(request["host"], []).append(at)
    return [
        DisclosureRecord(
            kind=RecipientKind.RULE_HOST,
            recipient=host,
            place="",
            purpose=SERVED,
            attributes=(),
            segments=(),
            first_at=min(each),
            last_at=max(each),
            state=Disclosure.State.ATTEMPTED,
            erased=False,
            carried_out=False,
            confirmed_at=None,
        )
        for host, each in times.items()
        if host
    ]


@transaction.atomic
def record_lookup(
    profile: Profile, setting: SourceSetting, source: EnrichmentSource, attributes: Sequence[str]
) -> None:
    """Record that a source is asked about a customer, unless that stays on this machine.

    A question about an area is one customer's too: their postal code leaves, also where nothing else does.
    As for destinations, a decision of the customer comes before this and is seen here, or after it. Raises
    `Invalid("no_consent" | "source_off" | "erased")`.
    """
    if source.is_local:
        return
    if not Profile.objects.select_for_update().filter(pk=profile.pk).exists():
        raise Invalid("erased", "The customer was erased.")
    permitted_source(profile, setting.key)
    named = lookup_recipient(setting, source)
    record_direct(profile, Receiver(Kind.LOOKUP, named.key, named.name, named.place, setting.purpose_id), attributes)


def record_tokens(
    profile: Profile,
    client: Client,
    scopes: list[str],
    rule_claims: Collection[str] = (),
    single_claims: Collection[str] = (),
    withheld: Collection[str] = (),
) -> None:
    """Record what an application of another company may read with the tokens that it is about to be given.

    `rule_claims` are the names of what rules add to them: a rule may have concluded it from anything it was given.
    `single_claims` are those that it requested beside the scopes, `withheld` those that rules keep from it.
    """
    claims = claims_of(served_user(profile, Place.USERINFO), scopes, single_claims)
    _record(profile, client, [*(name for name in claims if name not in withheld), *rule_claims])


def record_userinfo(client: Client, claims: Mapping[str, Any]) -> None:
    """Record what /userinfo is about to answer to an application of another company."""
    profile = find_by_user_id(str(claims.get("sub", "")))
    if profile is not None:
        _record(profile, client, claims)


def record_api_reading(client_id: str, purpose: str, given: Mapping[int, Collection[str]]) -> None:
    """Record what an application of another company is about to read at an API: profile id → names of what it is given.

    The company's own back end is the controller itself: what it reads is no disclosure. Once a day for each customer.
    """
    client = find_client(client_id)
    if client is None or client.first_party or not given:
        return
    names = {pk: [name[:LONGEST_NAME] for name in each] for pk, each in given.items()}
    record_readings(names, Receiver(Kind.APPLICATION, client.pk, client.name, "", purpose))


def _record(profile: Profile, client: Client, claims: Collection[str]) -> None:
    attributes = [name[:LONGEST_NAME] for name in claims if name != "sub"]
    record_direct(profile, Receiver(Kind.APPLICATION, client.pk, client.name, "", SERVED), attributes)
