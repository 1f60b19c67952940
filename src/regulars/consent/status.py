"""The consent status of customers at one instant: the open and the closed purposes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db.models import Q
from django.utils.translation import gettext_noop

from regulars.base import clock
from regulars.profiles.assertions import Asserter
from regulars.profiles.document import known
from regulars.profiles.models import Fact, Profile
from regulars.profiles.resolve import KnownFact, resolve

from .ages import is_too_young
from .effective import YES
from .models import ConsentEvent, ConsentState, Purpose

NO_OBJECTION = YES | {ConsentEvent.Action.OBJECTION_LIFTED}
BIRTHDATE, COUNTRY = "birthdate", "country"
TOO_YOUNG = gettext_noop("You are too young to allow this yourself.")
ADVERTISING = "advertising"  # key of the evidence of an objection to any advertising
# Customers may lift a "do not share" of their browser at any time; a question asks again after twelve months at the earliest.
GPC_RESTS = dt.timedelta(days=365)


class ConsentStatus:
    """The consent status of one customer.

    `is_child`: the customer is too young to consent in their country. `is_restricted`: what is known of them is only stored.
    """

    def __init__(self, profile_id: int, now: dt.datetime) -> None:
        self.profile_id = profile_id
        self.now = now
        self.states: dict[str, ConsentState] = {}
        self.consents: dict[int, ConsentEvent] = {}
        self.is_child = False
        self.is_restricted = False

    @classmethod
    def of(cls, profiles: Sequence[Profile], now: dt.datetime) -> dict[int, ConsentStatus]:
        """Return profile id → consent status, in as many queries as for one."""
        statuses = {profile.pk: cls(profile.pk, now) for profile in profiles}
        for state in ConsentState.objects.filter(profile__in=profiles).select_related("event", "purpose"):
            statuses[state.profile_id].states[state.purpose_id] = state
        # A fact that came by a merge was given under a consent in the ledger of the profile it came from.
        own_or_merged = Q(profile__in=profiles) | Q(profile__merged_into__in=profiles)
        for event in ConsentEvent.objects.filter(own_or_merged, action__in=YES).select_related("profile"):
            merged = event.profile.merged_into_id
            statuses[merged if merged in statuses else event.profile_id].consents[event.pk] = event
        # A birthdate of any source counts, permitted or not: protecting a child needs no consent.
        ages: dict[int, list[KnownFact]] = {profile.pk: [] for profile in profiles}
        facts = Fact.objects.filter(profile__in=profiles, attribute__in=(BIRTHDATE, COUNTRY), retracted_at=None)
        for fact in facts:
            ages[fact.profile_id].append(known(fact))
        for profile in profiles:
            # A public key's word opens no purpose, and closes none of a customer who has an account: any visitor could
            # send it. Of customers who are known by events only it is all that is known of their age.
            statuses[profile.pk].is_restricted = profile.restricted_at is not None
            everything = ages[profile.pk]
            believed = [fact for fact in everything if fact.asserter != Asserter.PUBLIC_KEY]
            is_child = _is_child(believed, now)
            statuses[profile.pk].is_child = is_child or (profile.account_id is None and _is_child(everything, now))
        return statuses

    def allows(self, purpose: Purpose) -> bool:
        if self.is_restricted:  # stored only: the login takes what it needs from `view` all the same
            return False
        if purpose.basis == Purpose.Basis.CONTRACT:
            return True
        if self.is_child:
            return False
        if self._advertising_ended(purpose):
            return False
        if purpose.basis == Purpose.Basis.LEGITIMATE_INTEREST:
            state = self.states.get(purpose.key)
            return state is None or state.status in NO_OBJECTION
        return self.is_given(purpose.key)

    def _advertising_ended(self, purpose: Purpose) -> bool:
        """Return whether an objection to any advertising closes a purpose that was not asked about, or not since."""
        if not purpose.is_direct_marketing:
            return False
        objected = [each.since for each in self.states.values() if each.event.evidence.get(ADVERTISING)]
        own = self.states.get(purpose.key)
        return bool(objected) and (own is None or own.since < max(objected))

    def is_given(self, purpose_key: str) -> bool:
        """Return whether consent is given now: not expired, for all that the purpose covers today, proven if imported."""
        state = self.states.get(purpose_key)
        if state is None or state.status not in YES or self.is_child or self._advertising_ended(state.purpose):
            return False
        if state.expires_at and state.expires_at <= self.now:
            return False
        return state.event.purpose_version >= state.purpose.consents_from and is_proven(state.event)

    def consents_hold(self, fact: Fact) -> bool:
        """Return whether every consent of the fact is still given. An imported fact needs one: a list proves nothing."""
        if fact.source_kind == Fact.SourceKind.IMPORTED and fact.basis == Purpose.Basis.CONSENT and not fact.consents:
            return False
        return all(self.consent_is_given(consent) for consent in fact.consents)

    def consented_purposes(self, fact: Fact) -> set[str]:
        """Return the purposes that the fact was given under."""
        return {self.consents[consent].purpose_id for consent in fact.consents if consent in self.consents}

    def consent_is_given(self, consent: int) -> bool:
        event = self.consents.get(consent)
        return event is not None and self.is_given(event.purpose_id)

    def is_explicit(self, purpose_key: str) -> bool:
        return self.is_given(purpose_key) and self.states[purpose_key].event.explicit


def _is_child(facts: Sequence[KnownFact], now: dt.datetime) -> bool:
    winners = {key: resolve([each for each in facts if each.attribute == key], now) for key in (BIRTHDATE, COUNTRY)}
    birthdate, country = (getattr(winners[key], "value", "") for key in (BIRTHDATE, COUNTRY))
    return is_too_young(birthdate, country, now)


def is_proven(event: ConsentEvent) -> bool:
    """An imported consent counts with evidence only, and never after the address was suppressed."""
    if event.action != ConsentEvent.Action.IMPORTED:
        return True
    return bool(event.evidence) and not event.evidence.get("suppressed")


def is_barred(profile: Profile) -> bool:
    """Return whether the customer is too young to allow anything."""
    return ConsentStatus.of([profile], clock.now())[profile.pk].is_child


def purposes_closed_to_questions(profile: Profile) -> set[str]:
    """Return the purposes without questions: consent withdrawn, objected to, or a recent "do not share" of the browser.

    A refused social permission does not close its purpose: the customer may answer a question instead.
    """
    status = ConsentStatus.of([profile], clock.now())[profile.pk]
    if status.is_restricted:
        return set(Purpose.objects.values_list("key", flat=True))
    if status.is_child:
        return set(Purpose.objects.exclude(basis=Purpose.Basis.CONTRACT).values_list("key", flat=True))
    closed = (ConsentEvent.Action.WITHDRAWN, ConsentEvent.Action.OBJECTED)
    return {
        key
        for key, state in status.states.items()
        if state.status in closed or (state.status == ConsentEvent.Action.GPC and state.since + GPC_RESTS > status.now)
    }
