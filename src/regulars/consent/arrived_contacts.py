"""What profiles are closed to when they come to hold a contact whose holder said no before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from regulars.profiles.assertions import Asserter
from regulars.profiles.contacts import TYPED, contacts_of, proved_contacts, proved_of
from regulars.profiles.models import Fact, Profile

from .fold import CUSTOMER_NO, NO
from .models import SAME_PERSON, SHARED_CONTACT, ConsentEvent, ConsentState, Purpose, Restriction
from .record import Decision
from .suppressions import suppressed

Action = ConsentEvent.Action
CUSTOMER = "customer"
SYSTEM = "system"  # the actor of what follows by itself


def is_own_refusal(decision: Decision | ConsentEvent) -> bool:
    """Return whether a decision is a no that was said of this very profile, and not carried on from another.

    Not what was said for an address that several hold: it is carried on by that address alone.
    """
    is_of_others = not decision.evidence.keys().isdisjoint((SAME_PERSON, SHARED_CONTACT))
    return decision.action in CUSTOMER_NO and decision.actor != SYSTEM and not is_of_others


def refused_themselves(profiles: Sequence[Profile]) -> set[int]:
    """Return the ids of profiles of which a no stands that was said of these very profiles."""
    states = ConsentState.objects.filter(profile__in=profiles, status__in=CUSTOMER_NO).select_related("event")
    return {each.profile_id for each in states if is_own_refusal(each.event)}


def contacts_reached(profile: Profile, *, by_customer: bool, at: dt.datetime | None = None) -> set[str]:
    """Return the contacts whose holders are reached by what was said of a customer at a time; None: now.

    Customers speak for the addresses and numbers that they proved; staff, applications and lists for every one, but for
    those that the customer typed after it: these may be of anybody else.
    """
    proved = proved_contacts(profile)
    return proved if by_customer else proved | contacts_of(profile, typed_until=at)


def restrict_arrived(facts: Sequence[Fact], profiles: Mapping[int, Profile]) -> list[Restriction]:
    """Restrict the profiles that came to hold a contact of a restricted customer, with these facts. Returns the new.

    What was only typed restricts no one before it is proved; a public key gives no known customer a contact.
    """
    arrived = [fact for fact in facts if fact.contact]
    came: dict[str, set[int]] = {}
    for fact in arrived:
        came.setdefault(fact.contact or "", set()).add(fact.profile_id)
    if not came:
        return []
    held = Fact.objects.filter(contact__in=list(came), retracted_at=None, profile__restricted_at__isnull=False)
    holders = set(held.exclude(asserter=Asserter.PUBLIC_KEY).values_list("profile", flat=True))
    if holders and (typed := {fact.profile_id for fact in arrived if fact.asserter in TYPED}):
        proved = proved_of([profiles[pk] for pk in sorted(typed)])
        better = {(fact.profile_id, fact.contact) for fact in arrived if fact.asserter not in TYPED}
        for contact, numbers in came.items():
            came[contact] = {pk for pk in numbers if (pk, contact) in better or contact in proved[pk]}
    open_now = Restriction.objects.filter(profile__in=holders, lifted_at=None, because_of=None)
    new: list[Restriction] = []
    for restriction in open_now.select_related("profile").order_by("pk") if holders else ():
        by_customer = restriction.actor == CUSTOMER
        reached = contacts_reached(restriction.profile, by_customer=by_customer, at=restriction.since)
        due = {pk for contact in reached for pk in came.get(contact, ())} - {restriction.profile_id}
        new += follow_restriction(restriction, [profiles[pk] for pk in sorted(due)])
    return new


def follow_restriction(restriction: Restriction, others: Sequence[Profile]) -> list[Restriction]:
    """Restrict other profiles of the same person, for as long as this restriction lasts. Returns what is new.

    It is not for one that has a restriction of its own, or that was lifted for itself. One that follows another restriction
    follows this one too: it ends with the last of them.
    """
    if restriction.follows_another or not others:
        return []
    rows = Restriction.objects.filter(profile__in=others)
    following = rows.filter(because_of=restriction)
    # A restored backup knows of each what was said, and not yet because of which.
    unknown = rows.filter(method=SAME_PERSON, because_of=None, since=restriction.since, lifted_at=None)
    unknown.exclude(profile__in=following.values("profile")).update(because_of=restriction)
    own = rows.filter(because_of=None, lifted_at=None).exclude(method=SAME_PERSON)
    known = {*following.values_list("profile", flat=True), *own.values_list("profile", flat=True)}
    row = {"since": restriction.since, "method": SAME_PERSON, "actor": restriction.actor, "because_of": restriction}
    new = [each for each in others if each.pk not in known]
    begins = [each for each in new if each.restricted_at is None]
    for each in begins:
        each.restricted_at = restriction.since
    Profile.objects.bulk_update(begins, ["restricted_at"])
    return Restriction.objects.bulk_create([Restriction(profile=each, **row) for each in new])


def refusals_due(profiles: Sequence[Profile]) -> list[tuple[Profile, list[Decision]]]:
    """Return what profiles that came to hold a contact have to be closed to, because of its holder.

    A yes that customers gave here since then stays.
    """
    closed = suppressed(profiles)
    purposes = {each.key: each for each in Purpose.objects.filter(active=True)} if closed else {}
    states = ConsentState.objects.filter(profile__in=list(closed)) if closed else ()
    known = {(each.profile_id, each.purpose_id): each for each in states}
    found = []
    for profile in profiles:
        due = []
        for key, since in sorted(closed.get(profile.pk, {}).items()):
            purpose, state = purposes.get(key), known.get((profile.pk, key))
            if purpose is None or (state and (state.status in NO or _is_newer_yes(state, since))):
                continue
            action = Action.OBJECTED
            if purpose.basis == Purpose.Basis.CONSENT:
                if state is None:
                    continue  # never asked: it is closed
                action = Action.WITHDRAWN
            due.append(Decision(key, action, "suppression", actor=SYSTEM, evidence={"since": since.isoformat()}))
        found.append((profile, due))
    return found


def _is_newer_yes(state: ConsentState, since: dt.datetime) -> bool:
    return state.status != Action.IMPORTED and state.since > since
