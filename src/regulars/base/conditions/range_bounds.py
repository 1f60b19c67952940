"""The bounds of a range: over numbers, and over text where a partial date covers its whole period."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass

from .document_terms import as_number, fold_case
from .tree import Between, Bound

_RELATIVE = re.compile(r"now(?:([+-])(\d+)([mhdwMy]))?")
_PERIOD = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_UNITS = {"m": 1 / 1440, "h": 1 / 24, "d": 1, "w": 7, "M": 30, "y": 365}  # in days


@dataclass(frozen=True)
class NumberRange:
    low: float | None
    low_inclusive: bool
    high: float | None
    high_inclusive: bool


@dataclass(frozen=True)
class TextRange:
    """Half-open or closed, in the order of code points."""

    low: str | None
    low_inclusive: bool
    high: str | None
    high_inclusive: bool


def number_range(between: Between) -> NumberRange | None:
    """Return the range over numbers, or None when an end is not a number."""
    low, high = _number(between.low), _number(between.high)
    if (between.low and low is None) or (between.high and high is None):
        return None
    return NumberRange(low, _inclusive(between.low), high, _inclusive(between.high))


def text_range(between: Between, now: dt.datetime) -> TextRange:
    """Return the range over text. `[2025-05 TO 2025-06]` covers both months; `{2025-12-01 TO *]` leaves the whole day out."""
    low, low_inclusive = None, True
    if between.low:
        text = literal_time(between.low.value, now)
        after = None if between.low.inclusive else _after_period(text)
        low, low_inclusive = (after, True) if after else (fold_case(between.field, text), between.low.inclusive)
    high, high_inclusive = None, True
    if between.high:
        text = literal_time(between.high.value, now)
        after = _after_period(text) if between.high.inclusive else None
        high, high_inclusive = (after, False) if after else (fold_case(between.field, text), between.high.inclusive)
    return TextRange(low, low_inclusive, high, high_inclusive)


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


def _number(bound: Bound | None) -> float | None:
    return as_number(bound.value) if bound else None


def _inclusive(bound: Bound | None) -> bool:
    return bound.inclusive if bound else True
