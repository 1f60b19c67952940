"""Count a condition over everybody: in, out and unknown, and what each part of the condition costs. Queries the lake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from regulars.base import clock
from regulars.base.conditions import ConditionError, parse, to_text, where
from regulars.base.conditions.tree import And, Consented, with_one_part_less
from regulars.base.errors import DomainError, Invalid
from regulars.base.lake.query import DIALECT, query
from regulars.consent.countable import PEOPLE
from regulars.consent.models import PermittedView
from regulars.consent.uses import purpose_for_segment, with_usable_events
from regulars.events.models import Event
from regulars.profiles.known_customers import ANONYMOUS
from regulars.profiles.models import Attribute, Profile

from .evaluate import matching_now
from .save import expanded, parse_cached
from .small_groups import SMALL_GROUP, refuse_identifying, rounded
from .vocabulary import Vocabulary

SAMPLE = 5


@dataclass(frozen=True)
class PartCount:
    """One part of a condition: how many are left after it (and those before), how many there would be without it."""

    text: str
    remaining: int
    without: int


@dataclass(frozen=True)
class SegmentCount:
    """`inside` + `unknown` + `outside` is everybody. `sample` are ids of a few of those inside, who still are at this moment.

    If not `exact`, numbers are rounded and 0 is "fewer than ten"; parts and sample are left out.
    """

    inside: int
    unknown: int
    outside: int
    parts: list[PartCount]
    sample: list[int]
    exact: bool = True

    @property
    def everybody(self) -> int:
        return self.inside + self.unknown + self.outside


def count_rounded(text: str, purpose: str) -> SegmentCount:
    """Count for those who may not see customers. Raises what `count` does, and `Forbidden` and `Invalid` of `small_groups`."""
    refuse_identifying(parse_cached(text), {each.key: each for each in Attribute.objects.all()})
    found = count(text, purpose)
    _refuse_small_difference(text, purpose, found.inside)
    inside, unknown, outside = rounded(found.inside), rounded(found.unknown), rounded(found.outside)
    return SegmentCount(inside, unknown, outside, parts=[], sample=[], exact=False)


def _refuse_small_difference(text: str, purpose: str, inside: int) -> None:
    """Raise `Invalid("small_difference")` where one part less, at any depth, moves the number by fewer than ten, up or down."""
    permitted = purpose_for_segment(purpose).key
    smaller = list(dict.fromkeys(with_one_part_less(expanded(text, permitted))))
    if inside < SMALL_GROUP or not smaller:
        return
    now = clock.now()
    held = [
        _how_many(
            _all(
                [
                    where(Consented(permitted), PEOPLE, DIALECT, now),
                    where(with_usable_events(each), PEOPLE, DIALECT, now),
                ]
            )
        )
        for each in smaller
    ]
    people = exp.select(*held, dialect=DIALECT).from_("views AS p").where(exp.column("purpose", "p").eq(permitted))
    [counts] = query(people)
    if any(abs(each - inside) < SMALL_GROUP for each in counts):
        raise Invalid(
            "small_difference",
            f"One of the conditions makes a difference of fewer than {SMALL_GROUP} customers. So few are nearly named:"
            " leave it out.",
        )


def count(text: str, purpose: str) -> SegmentCount:
    """Count a condition over everybody, by what may be used for the purpose. Raises `ConditionError` and `DomainError`."""
    permitted = purpose_for_segment(purpose).key
    condition = expanded(text, permitted)
    parts = condition.parts if isinstance(condition, And) else (condition,)
    tests = map(with_usable_events, parts)
    # One pass: every part is evaluated once per person, everything else is arithmetic over the results
    now = clock.now()
    names = [f"part{number}" for number in range(len(parts))]
    people = exp.select(
        "p.profile_id",
        exp.alias_(where(Consented(permitted), PEOPLE, DIALECT, now), "is_open"),
        *(exp.alias_(where(each, PEOPLE, DIALECT, now), name) for each, name in zip(tests, names, strict=True)),
    )
    people = people.from_("views AS p").where(exp.column("purpose", "p").eq(permitted))
    # Customers of whom the purpose is closed are outside whatever the condition says: events alone let no customer in.
    is_open, columns = exp.column("is_open"), [exp.column(name) for name in names]
    everything = _all([is_open, *columns])
    measures = [_how_many(everything), _how_many(exp.not_(everything)), exp.Count(this=exp.Star())]
    for number in range(len(columns)):
        measures.append(_how_many(_all([is_open, *columns[: number + 1]])))
        measures.append(_how_many(_all([is_open, *columns[:number], *columns[number + 1 :]])))
    picked = (
        f"LIST_SLICE(LIST(profile_id ORDER BY HASH(profile_id)) FILTER(WHERE {everything.sql(DIALECT)}), 1, {SAMPLE})"
    )
    [row] = query(exp.select(*measures, picked, dialect=DIALECT).from_(people.subquery("people")))
    inside, outside, everybody, *costs, sample = row
    matching = matching_now(with_usable_events(condition), permitted, sample or [])
    return SegmentCount(
        inside=inside,
        outside=outside,
        unknown=everybody - inside - outside,
        parts=[
            PartCount(to_text(part), remaining, without)
            for part, remaining, without in zip(parts, costs[::2], costs[1::2], strict=True)
        ],
        sample=[number for number in sample or [] if number in matching],
    )


def _how_many(truth: exp.Expr) -> exp.Expr:
    """Count the rows where this holds. Over no rows at all the engine returns NULL, not 0."""
    return exp.func("COALESCE", exp.CountIf(this=truth), exp.Literal.number(0))


def _all(columns: Sequence[exp.Expr]) -> exp.Expr:
    return exp.paren(exp.and_(*(column.copy() for column in columns)))


@dataclass(frozen=True)
class ConditionCost:
    """One condition in words: how many are left after it, and how many more there would be without it."""

    sentence: str
    remaining: int
    gain: int


@dataclass(frozen=True)
class CountReport:
    """Either `count` or `problem` (with `spot`, the text before and from where it does not fit)."""

    at: dt.datetime
    count: SegmentCount | None = None
    costs: list[ConditionCost] = field(default_factory=list)
    sample: list[Profile] = field(default_factory=list)
    behind: bool = False
    problem: str = ""
    spot: tuple[str, str] | None = None

    @property
    def strictest(self) -> ConditionCost | None:
        """The condition that excludes everybody, when the segment is empty."""
        is_empty = self.count is not None and self.count.inside == 0
        return max(self.costs, key=lambda cost: cost.gain) if is_empty and self.costs else None


def report_count(text: str, purpose: str, vocabulary: Vocabulary, *, exact: bool) -> CountReport:
    """Count a condition for a page; not `exact`: for a role that may not see customers. A fault of the condition or of the lake is returned as `problem`, not raised."""
    now = clock.now()
    try:
        found = count(text, purpose) if exact else count_rounded(text, purpose)
    except ConditionError as error:
        at = error.position
        return CountReport(now, problem=error.message, spot=None if at is None else (text[:at], text[at:]))
    except DomainError as error:
        return CountReport(now, problem=error.message)
    behind = lake_is_behind()
    if not found.everybody and exact:
        reason = (
            "the first customers are on their way to the lake. Try again in a few seconds."
            if behind
            else "there are no customers."
        )
        return CountReport(now, problem=f"Nothing can be counted yet: {reason}")
    if not exact:
        return CountReport(now, found, behind=behind)
    # conditions are shown as they were written: `segment:"vip"`, not the condition of that segment
    condition = parse(text)
    written = [to_text(part) for part in (condition.parts if isinstance(condition, And) else (condition,))]
    if len(written) != len(found.parts):
        written = [part.text for part in found.parts]
    costs = [
        ConditionCost(vocabulary.text(each), part.remaining, max(part.without - found.inside, 0))
        for each, part in zip(written, found.parts, strict=True)
    ]
    people = Profile.objects.in_bulk(found.sample)
    return CountReport(now, found, costs, [people[number] for number in found.sample if number in people], behind)


def lake_is_behind() -> bool:
    """Return whether views or events exist that counts do not include yet."""
    views = PermittedView.objects.filter(lake_at=None, profile__merged_into=None)
    views = views.exclude(profile__user_id__startswith=ANONYMOUS)
    return views.exists() or Event.objects.filter(lake_at=None).exists()
