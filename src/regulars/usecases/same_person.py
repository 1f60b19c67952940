"""Carry what a customer refused or restricted to the other profiles of the person, once an address or a proof of one came later."""

from __future__ import annotations

from typing import Any

from regulars.base.jobs.tasks import handles
from regulars.consent.arrived_contacts import contacts_reached, is_own_refusal
from regulars.consent.fold import CUSTOMER_NO
from regulars.consent.models import ConsentEvent, ConsentState
from regulars.consent.notices import find_shown
from regulars.consent.record import Decision
from regulars.profiles.contacts import holders_of
from regulars.profiles.find import canonical_profile
from regulars.profiles.models import Profile

from .refuse_consent import PORTION, close_for_others
from .restrict import open_restriction, queue_for_others
from .unit_of_work import SPREAD, changes

SAID_BY_OTHERS = frozenset({"staff", "api", "import"})


@handles(SPREAD, non_transactional=True)
def spread_earlier(payload: dict[str, Any]) -> None:
    """Carry on what customers refused, and their restrictions. Each no keeps its time: a yes that another profile gave after it stays.

    Each customer in a transaction of their own: rows that are locked for one after the other would be so out of order.
    """
    profiles = Profile.objects.filter(pk__in=payload["profiles"]).select_related("merged_into").order_by("pk")
    for profile in {each.pk: each for each in map(canonical_profile, profiles)}.values():
        states = ConsentState.objects.filter(profile=profile, status__in=CUSTOMER_NO)
        refused = [
            state.event
            for state in states.select_related("event__notice", "event__purpose").order_by("purpose")
            if is_own_refusal(state.event)
        ]
        by_others = [event for event in refused if event.method in SAID_BY_OTHERS]
        themselves = [event for event in refused if event.method not in SAID_BY_OTHERS]
        for listed, by_customer in ((by_others, False), (themselves, True)):
            if listed:
                first = min(event.at for event in listed)
                _spread(profile, listed, contacts_reached(profile, by_customer=by_customer, at=first))
        restriction = open_restriction(profile)
        if restriction and not restriction.follows_another:
            queue_for_others(restriction)


def _spread(profile: Profile, refused: list[ConsentEvent], contacts: set[str]) -> None:
    if not contacts:
        return
    others = holders_of(contacts, but=[profile.pk])
    with changes([profile, *others[:PORTION]], "consent") as c:
        close_for_others(c, others, [_again(event) for event in refused], contacts)


def _again(event: ConsentEvent) -> Decision:
    return Decision(
        event.purpose_id,
        event.action,
        event.method,
        evidence=event.evidence,
        actor=event.actor,
        at=event.at,
        notice=find_shown(event.notice_id, event.purpose) if event.notice_id else None,
    )
