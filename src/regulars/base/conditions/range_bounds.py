"""The bounds of a range: over numbers, over text, and over dates.

Integers compare by their digits, other numbers as doubles, alike in Python and in every SQL engine. A partial date covers its
whole period, and a date without a time its whole day, in the business's time zone.
"""

from __future__ import annotations

import calendar
import datetime as dt
import math
import re
from dataclasses import dataclass
from decimal import Decimal

from regulars.base import clock

from .document_terms import as_decimal, fold_case, is_whole
from .tree import Between, Bound

_RELATIVE = re.compile(r"now(?:([+-])(\d+)([mhdwMy]))?")
_PERIOD = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_YEAR = re.compile(r"[0-9]{4}")
_UNITS = {"m": 1 / 1440, "h": 1 / 24, "d": 1, "w": 7, "M": 30, "y": 365}  # in days
_LARGEST = 1.7976931348623157e308
# Shapes of text, with `?` for any one character and `*` for any others.
DAY, INSTANT, DATED = "????-??-??", "????-??-??T*", "????-??*"


@dataclass(frozen=True)
class NumberRange:
    """`first` and `last` are the smallest and largest integer inside; `low` and `high` the bounds as doubles."""

    first: int | None
    last: int | None
    low: float | None
    low_inclusive: bool
    high: float | None
    high_inclusive: bool

    def holds(self, text: str) -> bool:
        """Return whether a number is inside. The same steps as `sql` takes, so that all engines agree."""
        if is_whole(text):
            negative, digits = text.startswith("-"), text.lstrip("-").lstrip("0")
            above = self.first is None or _at_least(negative, digits, self.first)
            return above and (self.last is None or _at_least(not negative, digits, -self.last))
        number = float(text)
        above = self.low is None or (number >= self.low if self.low_inclusive else number > self.low)
        return above and (self.high is None or (number <= self.high if self.high_inclusive else number < self.high))


def _at_least(negative: bool, digits: str, bound: int) -> bool:
    """Return whether an integer of this sign and these digits (none for 0) is at least the bound."""
    if bound == 0:
        return not negative or not digits
    size = (len(digits), digits)
    limit = (len(str(abs(bound))), str(abs(bound)))
    return (not negative and size >= limit) if bound > 0 else (not negative or size <= limit)


@dataclass(frozen=True)
class TextRange:
    """Half-open or closed, in the order of code points."""

    low: str | None
    low_inclusive: bool
    high: str | None
    high_inclusive: bool

    def holds(self, text: str) -> bool:
        above = self.low is None or (text >= self.low if self.low_inclusive else text > self.low)
        return above and (self.high is None or (text <= self.high if self.high_inclusive else text < self.high))


@dataclass(frozen=True)
class TextRanges:
    """The range over text of any shape, and over days and instants where it is another one."""

    text: TextRange
    days: TextRange
    instants: TextRange

    @property
    def is_one(self) -> bool:
        return self.text == self.days == self.instants

    def holds(self, text: str) -> bool:
        shaped = self.days if has_shape(text, DAY) else self.instants if has_shape(text, INSTANT) else self.text
        return shaped.holds(text)


def has_shape(text: str, shape: str) -> bool:
    """Return whether text has a shape: `DAY`, `INSTANT` or `DATED`."""
    fixed = shape.rstrip("*")
    is_long_enough = len(text) >= len(fixed) if shape != fixed else len(text) == len(fixed)
    return is_long_enough and all(mark in ("?", each) for mark, each in zip(fixed, text, strict=False))


def number_range(between: Between) -> NumberRange | None:
    """Return the range over numbers, or None when an end is not a number."""
    low, high = _number(between.low), _number(between.high)
    if (between.low and low is None) or (between.high and high is None):
        return None
    low_inclusive, high_inclusive = _inclusive(between.low), _inclusive(between.high)
    first = last = None
    if low is not None:
        first = math.ceil(low) if low_inclusive else math.floor(low) + 1
    if high is not None:
        last = math.floor(high) if high_inclusive else math.ceil(high) - 1
    return NumberRange(first, last, _double(low), low_inclusive, _double(high), high_inclusive)


def is_numeric(between: Between) -> bool:
    """Return whether an end is a number, and none is anything else: then text is compared only if it is wholly a number."""
    return bool(between.low or between.high) and number_range(between) is not None


def covers_years(between: Between) -> bool:
    """Return whether numeric ends may be years: then text that is a date is compared with them too."""
    return all(bound is None or _YEAR.fullmatch(bound.value) for bound in (between.low, between.high))


def text_ranges(between: Between, now: dt.datetime) -> TextRanges:
    """Return the ranges over text. `[2025-05 TO 2025-06]` covers both months; `{2025-12-01 TO *]` leaves the whole day out.

    `[now TO now+7d]` covers the whole days of both ends for a date without a time.
    """
    ends = [_ends(between.field, bound, now, is_low) for bound, is_low in ((between.low, True), (between.high, False))]
    return TextRanges(*(TextRange(*low, *high) for low, high in zip(*ends, strict=True)))


End = tuple[str | None, bool]


def _ends(field: str, bound: Bound | None, now: dt.datetime, is_low: bool) -> tuple[End, End, End]:
    """Return one end, with whether it is included: for text, for days, for instants."""
    if bound is None:
        return ((None, True),) * 3
    text = literal_time(bound.value, now)
    after = _after_period(text) if bound.inclusive != is_low else None
    written: End = (after, is_low) if after else (fold_case(field, text), bound.inclusive)
    if (moment := _moment(text)) is not None:
        return written, (moment.astimezone(clock.zone()).date().isoformat(), bound.inclusive), written
    if _PERIOD.fullmatch(text) and clock.zone().key != "UTC" and (start := _start_of(after or text)) is not None:
        return written, written, (start, is_low)
    return written, written, written


def _moment(text: str) -> dt.datetime | None:
    """Return the instant that a literal names; one without a zone is UTC. None for anything without a time."""
    if not has_shape(text, INSTANT):
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _start_of(period: str) -> str | None:
    """Return the instant at which a year, month or day begins for the business, without its fraction."""
    try:
        first = dt.date.fromisoformat(f"{period}-01-01"[:10])
        start = dt.datetime.combine(first, dt.time(), clock.zone()).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    return start.strftime("%Y-%m-%dT%H:%M:%S")


def equal_texts(value: str, now: dt.datetime) -> list[str]:
    """Return the texts that a literal equals: `now` is this instant and this day."""
    text = literal_time(value, now)
    moment = _moment(text) if text != value else None
    return [text] if moment is None else [text, moment.astimezone(clock.zone()).date().isoformat()]


def bounded_days(days: float) -> float:
    """Limit days to a century, which keeps dates inside every engine's calendar."""
    return min(max(days, -36_500.0), 36_500.0)


def literal_time(text: str, now: dt.datetime) -> str:
    """Return `now-30d` as `2026-10-25T10:00:00.000Z`; anything else unchanged."""
    match = _RELATIVE.fullmatch(text)
    if not match:
        return text
    sign, amount, unit = match.groups()
    days = _UNITS[unit] * int(amount) * (-1 if sign == "-" else 1) if amount else 0.0
    moment = now + dt.timedelta(days=bounded_days(days))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _after_period(text: str) -> str | None:
    """Return the first day after a named year, month or day; None for anything else."""
    match = _PERIOD.fullmatch(text)
    if not match:
        return None
    year, month, day = (int(part) if part else None for part in match.groups())
    try:
        if day is not None:
            return (dt.date(year or 0, month or 0, day) + dt.timedelta(days=1)).isoformat()
        if month is not None:
            last = calendar.monthrange(year or 0, month)[1]
            return (dt.date(year or 0, month, last) + dt.timedelta(days=1)).isoformat()[:7]
    except (ValueError, OverflowError, calendar.IllegalMonthError):
        return None
    return f"{(year or 0) + 1:04d}"


def _number(bound: Bound | None) -> Decimal | None:
    return as_decimal(bound.value) if bound else None


def _double(number: Decimal | None) -> float | None:
    return None if number is None else min(max(float(number), -_LARGEST), _LARGEST)


def _inclusive(bound: Bound | None) -> bool:
    return bound.inclusive if bound else True
