"""The consent status of customers at one instant: the open and the closed purposes, and the facts that stand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from django.utils.translation import gettext_noop

from regulars.base import clock
from regulars.base.json_values import is_empty
from regulars.profiles.assertions import Asserter
from regulars.profiles.document import EVERY_INTEREST, known
from regulars.profiles.known_customers import known_customers_among
from regulars.profiles.learn import BASES
from regulars.profiles.models import Fact, Profile
from regulars.profiles.resolve import KnownFact, expired, latest_per_source, resolve

from .ages import KnownAge
from .fold import YES, Yes
from .models import ConsentEvent, ConsentState, Purpose

NO_OBJECTION = YES | {ConsentEvent.Action.OBJECTION_LIFTED}
BIRTHDATE, COUNTRY, TIME_ZONE = "birthdate", "country", "time_zone"
TOO_YOUNG = gettext_noop("You are too young to allow this yourself.")
ADVERTISING = "advertising"  # key of the evidence of an objection to any advertising
# Customers may lift a "do not share" of their browser at any time; a question asks again after twelve months at the earliest.
GPC_RESTS = dt.timedelta(days=365)


class ConsentStatus:
    """The consent status of one customer.

    `is_child`: the customer is too young to consent in their country. `is_restricted`: what is known of them is only stored.
    `ages` is what is known of their age; each one counts.
    """

    def __init__(self, profile_id: int, now: dt.datetime) -> None:
        self.profile_id = profile_id
        self.now = now
        self.states: dict[str, ConsentState] = {}
        self.ages: list[KnownAge] = []
        self.is_child = False
        self.is_restricted = False

    @classmethod
    def of(cls, profiles: Sequence[Profile], now: dt.datetime) -> dict[int, ConsentStatus]:
        """Return profile id → consent status, in as many queries as for one. Ledgers are not read: states hold what stands."""
        statuses = {profile.pk: cls(profile.pk, now) for profile in profiles}
        for state in ConsentState.objects.filter(profile__in=profiles).select_related("event", "purpose"):
            statuses[state.profile_id].states[state.purpose_id] = state
        # A birthdate of any source counts, permitted or not: protecting a child needs no consent.
        ages: dict[int, list[KnownFact]] = {profile.pk: [] for profile in profiles}
        facts = Fact.objects.filter(
            profile__in=profiles, attribute__in=(BIRTHDATE, COUNTRY, TIME_ZONE), retracted_at=None
        )
        for fact in facts:
            ages[fact.profile_id].append(known(fact))
        weak = {fact.profile_id for fact in facts if fact.asserter == Asserter.PUBLIC_KEY}
        known_otherwise = known_customers_among([profile for profile in profiles if profile.pk in weak])
        for profile in profiles:
            # A public key's word opens no purpose, and closes none of a customer who is known otherwise: any visitor
            # could send it. Of those who are known by such words alone it is all that is known of their age.
            status, everything = statuses[profile.pk], ages[profile.pk]
            status.is_restricted = profile.restricted_at is not None
            believed = [fact for fact in everything if fact.asserter != Asserter.PUBLIC_KEY]
            counted = [believed] if profile.pk in known_otherwise else [believed, everything]
            status.ages = [age for each in counted if (age := _known_age(each, now))]
            status.is_child = status.was_child(now)
        return statuses

    def was_child(self, at: dt.datetime) -> bool:
        """Return whether the customer was too young to consent at an instant, by what is known of their age now."""
        return any(age.is_too_young(at) for age in self.ages)

    @cached_property
    def standing(self) -> dict[str, list[Yes]]:
        """Purpose → every yes that stands now: not expired, and for all that the purpose covers today."""
        if self.is_child:
            return {}
        ended = {key for key, state in self.states.items() if self._advertising_ended(state.purpose)}
        return {
            key: [
                each
                for each in state.folded.standing
                if not each.has_run_out(self.now) and each.version >= state.purpose.consents_from
            ]
            for key, state in self.states.items()
            if key not in ended
        }

    @cached_property
    def _purpose_of_consent(self) -> dict[int, str]:
        return {number: key for key, listed in self.standing.items() for each in listed for number in _ids(each)}

    def allows(self, purpose: Purpose) -> bool:
        # Stored only while restricted: the login takes what it needs from `view` all the same.
        return not self.is_restricted and self.would_allow(purpose)

    def would_allow(self, purpose: Purpose) -> bool:
        """Return whether the customer's decisions open a purpose, whatever is restricted meanwhile."""
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
        """Return whether any consent to the purpose stands now. Which facts it opens, `covers` tells."""
        return bool(self.standing.get(purpose_key))

    def is_given_as_a_whole(self, purpose_key: str) -> bool:
        """Return whether a consent to the whole purpose stands, not only to single attributes."""
        return any(each.whole for each in self.standing.get(purpose_key, ()))

    def fact_stands(self, fact: Fact) -> bool:
        """Return whether the decisions stand that a fact was given under; if not, it is closed for every use.

        A fact that rests on consent needs a decision. An objection to a legitimate interest closes what was collected for it.
        Without a basis that the law knows nothing may be used.
        """
        if fact.basis not in BASES:
            return False
        if fact.basis == Purpose.Basis.CONSENT and not fact.consents:
            return False
        if fact.basis == Purpose.Basis.LEGITIMATE_INTEREST and not self._interest_holds(fact.purpose):
            return False
        return all(self.consent_is_given(consent) for consent in fact.consents)

    def covers(self, purpose: Purpose, fact: Fact) -> bool:
        """Return whether a fact that stands may be used for a purpose that is open.

        Consent covers the facts given under it; consent to the whole purpose also those of other sources. A legitimate
        interest covers what was collected for it, and what customers were asked for. What only the contract needs, it does
        not cover.
        """
        if purpose.basis == Purpose.Basis.CONTRACT:
            return True
        if purpose.basis == Purpose.Basis.LEGITIMATE_INTEREST:
            is_its_own = fact.basis == Purpose.Basis.LEGITIMATE_INTEREST and fact.purpose in ("", purpose.key)
            return is_its_own or bool(fact.consents)
        if self.is_given_as_a_whole(purpose.key):
            return True
        return any(self._purpose_of_consent.get(consent) == purpose.key for consent in fact.consents)

    def consent_is_given(self, consent: int) -> bool:
        """Return whether the very decision stands: not another one to the same purpose after a no."""
        return consent in self._purpose_of_consent

    def is_explicit(self, purpose_key: str) -> bool:
        return any(each.explicit for each in self.standing.get(purpose_key, ()))

    def decisions_to(self, purpose_key: str) -> list[int]:
        """Return the ids of the decisions to a purpose that stand, as facts name them: those to the whole of it, else all."""
        standing = self.standing.get(purpose_key, [])
        return [each.first for each in standing if each.whole] or [each.first for each in standing]

    def runs_out(self, purpose_key: str) -> dt.datetime | None:
        """Return when the last consent to a purpose runs out, if it does."""
        ends = [each.until for each in self.standing.get(purpose_key, ())]
        return max((end for end in ends if end), default=None) if all(ends) else None

    def closed_interests(self) -> list[str]:
        """Return the legitimate interests whose facts are closed, as `Profile.closed_interests` stores them."""
        if self.is_child:
            return [EVERY_INTEREST]
        closed = [key for key in self.states if not self._interest_holds(key)]
        return sorted({*closed, ""}) if closed else []

    def _interest_holds(self, purpose_key: str) -> bool:
        """Of facts of earlier versions, which name no purpose, an objection to any legitimate interest counts."""
        interests = [
            state
            for key, state in self.states.items()
            if state.purpose.basis == Purpose.Basis.LEGITIMATE_INTEREST and purpose_key in ("", key)
        ]
        return not self.is_child and all(state.status in NO_OBJECTION for state in interests)


def _ids(yes: Yes) -> set[int]:
    return {yes.first, yes.last}


def _known_age(facts: Sequence[KnownFact], now: dt.datetime) -> KnownAge | None:
    """Return what facts of one customer say of their age, without a date of birth nothing.

    Of the dates of birth the one that wins counts; of the countries all that any source names: the strictest age applies.
    """
    birthdate = resolve([each for each in facts if each.attribute == BIRTHDATE], now)
    if birthdate is None:
        return None
    return KnownAge(birthdate.value, _all_of(COUNTRY, facts, now), _all_of(TIME_ZONE, facts, now))


def _all_of(attribute: str, facts: Sequence[KnownFact], now: dt.datetime) -> tuple[Any, ...]:
    latest = latest_per_source(each for each in facts if each.attribute == attribute)
    return tuple(each.value for each in latest if not is_empty(each.value) and not expired(each, now))


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
