"""Recompute the cached permitted views. Only the unit of work (`usecases.unit_of_work`) calls this."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from regulars.base import clock
from regulars.profiles.document import BAGS, rebuild_all
from regulars.profiles.models import Fact, Profile

from .fold import YES
from .models import ConsentEvent, ConsentState, PermittedView
from .record import Decision, record_all
from .status import ConsentStatus
from .view import live_facts, permitted_by_purpose

CONTENT = ("traits", "by_place", "terms", "shown_terms")  # of a view, as `view.Permitted` has it


@transaction.atomic(savepoint=False)
def refresh_views(profile: Profile) -> dict[str, dict[str, Any]]:
    """Recompute every cached view of one profile. Returns purpose → {attribute: value} for the views that changed."""
    return {row.purpose_id: row.traits for row in refresh_all_views([profile])[0]}


@transaction.atomic(savepoint=False)
def refresh_all_views(profiles: Sequence[Profile]) -> tuple[list[PermittedView], list[ConsentEvent]]:
    """Recompute the views of many profiles in as many queries as for one.

    Returns the views that changed, and what ended consents of customers who are too young to give one.
    """
    now = clock.now()
    statuses = ConsentStatus.of(profiles, now)
    ended: list[ConsentEvent] = []
    if due := _consents_of_children(profiles, statuses):
        ended = record_all(due).events
        statuses = ConsentStatus.of(profiles, now)
    facts = live_facts(profiles)
    # Facts given under a withdrawn consent, or for an interest that was objected to, stay out of the user document.
    moved = []
    for profile in profiles:
        consents, interests = closed_for(statuses[profile.pk], facts[profile.pk])
        if (consents, interests) != (profile.closed_consents, profile.closed_interests):
            profile.closed_consents, profile.closed_interests = consents, interests
            moved.append(profile)
    if moved:
        Profile.objects.bulk_update(moved, ["closed_consents", "closed_interests"], batch_size=500)
        rebuild_all(moved)
    before = {(row.profile_id, row.purpose_id): row for row in PermittedView.objects.filter(profile__in=profiles)}
    changed = []
    for each in permitted_by_purpose(profiles, statuses, facts):
        row = before.get((each.profile.pk, each.purpose))
        row = row or PermittedView(profile=each.profile, purpose_id=each.purpose)
        if row.pk is None or any(getattr(row, name) != getattr(each, name) for name in CONTENT):
            row.has_lost = bool(row.traits.keys() - each.traits.keys())
            row.ends_rule_claims = each.purpose == "serve" and _ends_rule_claims(row.traits, each.traits)
            for name in CONTENT:
                setattr(row, name, getattr(each, name))
            row.refreshed_at, row.lake_at = now, None
            changed.append(row)
    PermittedView.objects.bulk_create(
        changed,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["profile", "purpose"],
        update_fields=[*CONTENT, "refreshed_at", "lake_at"],
    )
    return changed, ended


def closed_for(status: ConsentStatus, facts: Sequence[Fact]) -> tuple[list[int], list[str]]:
    """Return the consents that live facts name and that stand no longer, and the interests that were objected to."""
    named = {consent for fact in facts for consent in fact.consents}
    return sorted(consent for consent in named if not status.consent_is_given(consent)), status.closed_interests()


def _consents_of_children(
    profiles: Sequence[Profile], statuses: Mapping[int, ConsentStatus]
) -> list[tuple[Profile, list[Decision]]]:
    """Return what ends every consent of customers who are too young to give one, or were when they gave it.

    It is over for good: neither their birthday nor another birthdate brings back what they could not allow.
    """
    given_at = _times_of_consents([status for status in statuses.values() if status.ages])
    found = []
    for profile in profiles:
        status = statuses[profile.pk]
        given = sorted(
            key
            for key, state in status.states.items()
            if state.status in YES
            and (
                status.is_child or any(status.was_child(given_at[each]) for each in _firsts(state) if each in given_at)
            )
        )
        decisions = [Decision(key, ConsentEvent.Action.EXPIRED, "age", actor="system") for key in given]
        if decisions:
            found.append((profile, decisions))
    return found


def _firsts(state: ConsentState) -> list[int]:
    return [each.first for each in state.folded.standing]


def _times_of_consents(statuses: Sequence[ConsentStatus]) -> dict[int, dt.datetime]:
    """Return consent → when it was given, of those that stand. Only one that was renewed since has to be looked up."""
    states = [state for status in statuses for state in status.states.values() if state.status in YES]
    at = {state.event_id: state.event.at for state in states}
    if missing := {first for state in states for first in _firsts(state)} - at.keys():
        at |= dict(ConsentEvent.objects.filter(pk__in=missing).values_list("pk", "at"))
    return at


def _ends_rule_claims(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether what rules concluded from a view may not be shown any more: a value is gone, or is another.

    Metadata that no attribute declares counts only when it is gone: rules write there at every login.
    """
    return any(
        key not in after or (key.partition(".")[0] not in BAGS and after[key] != value) for key, value in before.items()
    )
