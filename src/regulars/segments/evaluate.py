"""Who is in now: one customer when something changed for her, or everybody when the segment or the day did."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db import connection, transaction
from sqlglot import exp

from regulars.base import clock
from regulars.base.conditions import DIALECT_OF, Condition, EventSeen, Person, Schema, holds, mentions, where
from regulars.base.db.compiled_query import CompiledQuery
from regulars.consent.models import PermittedView
from regulars.events.read import named
from regulars.profiles.find import ANONYMOUS, is_anonymous
from regulars.profiles.models import Profile

from .models import Membership, Segment
from .save import condition_of

STATES = {True: Membership.State.IN, False: Membership.State.OUT, None: Membership.State.UNKNOWN}


@dataclass(frozen=True)
class Change:
    """A customer moved: `was` and `now` are `in`, `unknown` or `out`."""

    profile_id: int
    segment_slug: str
    segment_name: str
    was: str
    now: str
    at: dt.datetime


@transaction.atomic(savepoint=False)
def evaluate(profile: Profile) -> list[Change]:
    """Evaluate every segment for one customer, write down where she stands, and tell what changed."""
    segments = _segments.all()
    if not segments or is_anonymous(profile):
        return []
    conditions = {segment.pk: condition_of(segment.text, (segment.slug,)) for segment in segments}
    events = _events_of(profile, conditions.values())
    terms = dict(PermittedView.objects.filter(profile=profile).values_list("purpose_id", "terms"))
    now = clock.now()
    stands = {
        segment.pk: STATES[holds(conditions[segment.pk], Person(terms.get(segment.purpose_id, {}), events), now)]
        for segment in segments
    }
    stood = {each.segment_id: each for each in Membership.objects.filter(profile=profile)}
    changes = []
    for segment in segments:
        row = stood.get(segment.pk)
        was, is_now = (row.state if row else Membership.State.OUT), stands[segment.pk]
        if was != is_now:
            Membership.objects.update_or_create(
                segment=segment, profile=profile, defaults={"state": is_now, "since": now}
            )
            changes.append(_change(profile.pk, segment, was, is_now, now))
    return changes


_segments = CompiledQuery(Segment.objects.all)


@transaction.atomic
def evaluate_segment(segment: Segment) -> list[Change]:
    """Evaluate one segment for everybody by one query, and write down the differences."""
    now = clock.now()
    stands = _stand_now(segment, now)
    stood = {each.profile_id: each for each in Membership.objects.filter(segment=segment)}
    fresh, moved, changes = [], [], []
    for profile_id, state in stands.items():
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


def _stand_now(segment: Segment, now: dt.datetime) -> dict[int, str]:
    dialect = DIALECT_OF[connection.vendor]
    truth = where(condition_of(segment.text, (segment.slug,)), Schema(), dialect, now)
    people = (
        exp.select("p.profile_id", exp.alias_(truth, "truth"))
        .from_("consent_permittedview AS p")
        .join("profiles_profile AS c", on="c.id = p.profile_id")
        .where(exp.column("purpose_id", "p").eq(segment.purpose_id))
        .where(exp.column("user_id", "c").like(f"{ANONYMOUS}%").not_())
        .where("c.merged_into_id IS NULL")
    )
    with connection.cursor() as cursor:
        cursor.execute(people.sql(dialect=dialect))
        return {profile_id: STATES[None if known is None else bool(known)] for profile_id, known in cursor.fetchall()}


def _events_of(profile: Profile, conditions: Iterable[Condition]) -> Callable[[str], list[EventSeen]]:
    """The customer's events by name, read at once for all conditions together."""
    names = frozenset().union(*(mentions(condition).events for condition in conditions))
    by_name: dict[str, list[EventSeen]] = {}
    for event in named(profile.pk, names) if names else []:
        by_name.setdefault(event.name, []).append(EventSeen(event.at, event.terms))
    return lambda name: by_name.get(name, [])


def _change(profile_id: int, segment: Segment, was: str, now: str, at: dt.datetime) -> Change:
    return Change(profile_id, segment.slug, segment.name, str(was), str(now), at)
