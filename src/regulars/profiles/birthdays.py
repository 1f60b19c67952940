"""Dates of birth: what one can mean, and the day on which a person reaches an age. Plain functions, the only ones for it.

A person born on 29 February has their birthday on 1 March of other years, as most laws have it: no one counts as older than
they are. Days are the business's.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from regulars.base import clock

# `1990-04-12T00:00:00.000Z` is Segment's form: the day as it is written counts, whatever the time zone.
_BORN = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ][\d:.,]*(?:Z|[+-]\d\d:?\d\d)?)?)?)?", re.ASCII)


def days_of_birth(value: Any) -> tuple[dt.date, dt.date] | None:
    """Return the first and the last day that a date of birth can mean: `1991-04-12`, `1991-04`, `1991`, 1991.

    None for anything else, and for a birthday without a year (`0000-04-12`).
    """
    match = _BORN.fullmatch(str(value).strip()) if isinstance(value, str | int) else None
    if match is None:
        return None
    year, month, day = (int(part) if part else None for part in match.groups())
    try:
        first = dt.date(year or 0, month or 1, day or 1)
        if day is not None:
            return first, first
        after = dt.date(first.year + (month or 12) // 12, (month or 12) % 12 + 1, 1)
    except ValueError:
        return None
    return first, after - dt.timedelta(days=1)


def birthday(born: dt.date, age: int) -> dt.date:
    """Return the day on which a person born then reaches an age; the last day there is for one beyond the calendar."""
    try:
        return born.replace(year=born.year + age)
    except ValueError:
        return dt.date(born.year + age, 3, 1) if born.year + age <= dt.MAXYEAR else dt.date.max


def age_on(born: dt.date, day: dt.date) -> int:
    """Return the age of a person on a day; negative before birth."""
    age = day.year - born.year
    return age if birthday(born, age) <= day else age - 1


def business_day(now: dt.datetime) -> dt.date:
    return now.astimezone(clock.zone()).date()


def start_of(day: dt.date) -> dt.datetime:
    """Return the instant at which a day of the business begins."""
    return dt.datetime.combine(day, dt.time(), clock.zone()).astimezone(dt.UTC)
