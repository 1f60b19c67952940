"""Evaluate segments: every segment for some customers after a change, or one segment for every customer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import F
from sqlglot import exp

from regulars.base import clock
from regulars.base.conditions import DIALECT_OF, Condition, EventSeen, Person, Schema, holds, needed_events, where
from regulars.base.conditions.document_terms import Terms
from regulars.base.db.compiled_query import CompiledQuery
from regulars.consent.models import PermittedView, Purpose
from regulars.consent.view import current_views, has_outdated_views_sql, of_whom_open
from regulars.events.read import read_needed
from regulars.profiles.find import is_anonymous
from regulars.profiles.known_customers import ANONYMOUS
from regulars.profiles.models import Profile

from .models import Membership, Segment
from .save import NO_ONE, membership_condition, open_condition

STATES = {True: Membership.State.IN, False: Membership.State.OUT, None: Membership.State.UNKNOWN}


@dataclass(frozen=True)
class Change:
    """The membership of a customer changed: `was` and `now` are `in`, `unknown` or `out`."""

    profile_id: int
    segment_slug: str
    segment_name: str
    was: str
    now: str
    at: dt.datetime


def evaluate(profile: Profile) -> list[Change]:
    """Evaluate every segment for one customer, write the memberships, and return what changed."""
    return evaluate_all([profile])


@transaction.atomic(savepoint=False)
def evaluate_all(profiles: Sequence[Profile]) -> list[Change]:
    """Evaluate every segment for many customers, in as many reads as for one. Visitors are members of no segment."""
    segments = _segments.all()
    customers = [profile for profile in profiles if not is_anonymous(profile)]
    if not segments or not customers:
        return []
    conditions = {
        segment.pk: NO_ONE if getattr(segment, _BASIS) == Purpose.Basis.CONTRACT else open_condition(segment)
        for segment in segments
    }
    now = clock.now()
    events = _events_of(customers, conditions.values(), now)
    terms: dict[tuple[int, str], Terms] = {
        (view.profile_id, view.purpose_id): view.terms for view in PermittedView.objects.filter(profile__in=customers)
    }
    before = {(each.profile_id, each.segment_id): each for each in Membership.objects.filter(profile__in=customers)}
    changes = []
    for profile in customers:
        for segment in segments:
            person = Person(terms.get((profile.pk, segment.purpose_id), {}), events(profile.pk))
            row = before.get((profile.pk, segment.pk))
            was = row.state if row else Membership.State.OUT
            is_now = STATES[holds(conditions[segment.pk], person, now)]
            if was != is_now:
                Membership.objects.update_or_create(
                    segment=segment, profile=profile, defaults={"state": is_now, "since": now}
                )
                changes.append(_change(profile.pk, segment, was, is_now, now))
    return changes


_BASIS = "purpose_basis"
_segments = CompiledQuery(lambda: Segment.objects.annotate(**{_BASIS: F("purpose__basis")}))


@transaction.atomic
def evaluate_segment(segment: Segment) -> list[Change]:
    """Evaluate one segment for every customer by one query, and write the differences."""
    now = clock.now()
    dialect = DIALECT_OF[connection.vendor]
    truth = where(membership_condition(segment), Schema(), dialect, now)
    people = (
        exp.select("p.profile_id", exp.alias_(truth, "truth"))
        .from_("consent_permittedview AS p")
        .join("profiles_profile AS c", on="c.id = p.profile_id")
        .where(exp.column("purpose_id", "p").eq(segment.purpose_id))
        .where(exp.column("user_id", "c").like(f"{ANONYMOUS}%").not_())
        .where("c.merged_into_id IS NULL")
        .where(f"NOT {has_outdated_views_sql('c.id')}")
    )
    with connection.cursor() as cursor:
        cursor.execute(people.sql(dialect=dialect))
        found = cursor.fetchall()
    stands = {profile_id: STATES[None if known is None else bool(known)] for profile_id, known in found}
    stood = {each.profile_id: each for each in Membership.objects.filter(segment=segment)}
    fresh, moved, changes = [], [], []
    # Of a member without a view for this purpose nothing may be used: the segment may have had another purpose before.
    for profile_id, state in {**dict.fromkeys(stood, Membership.State.OUT), **stands}.items():
        row = stood.get(profile_id)
        was = row.state if row else Membership.State.OUT
        if was == state:
            continue
        changes.append(_change(profile_id, segment, was, state, now))
        if row is None:
            fresh.append(Membership(segment=segment, profile_id=profile_id, state=state, since=now))
        else:
            row.state, row.since = state, now
            moved.append(row)
    Membership.objects.bulk_create(fresh, batch_size=1000)
    Membership.objects.bulk_update(moved, ["state", "since"], batch_size=500)
    return changes


def matching_now(condition: Condition, purpose: str, profile_ids: Collection[int]) -> set[int]:
    """Return those of a few customers who match by what may be used at this moment. The lake is seconds behind."""
    people = list(Profile.objects.filter(pk__in=profile_ids, merged_into=None))
    views = current_views().filter(profile__in=of_whom_open(people, purpose), purpose=purpose)
    now = clock.now()
    events = _events_of(people, [condition], now)
    return {each.profile_id for each in views if holds(condition, Person(each.terms, events(each.profile_id)), now)}


def _events_of(
    profiles: Sequence[Profile], conditions: Iterable[Condition], now: dt.datetime
) -> Callable[[int], Callable[[str], list[EventSeen]]]:
    """Return the events by profile id and name that decide the conditions, read at once for all of them together."""
    found = {
        key: [EventSeen(event.at, event.terms) for event in events]
        for key, events in read_needed([profile.pk for profile in profiles], needed_events(conditions, now)).items()
    }
    return lambda profile_id: lambda name: found.get((profile_id, name), [])


def _change(profile_id: int, segment: Segment, was: str, now: str, at: dt.datetime) -> Change:
    return Change(profile_id, segment.slug, segment.name, str(was), str(now), at)
