"""Read moments as programs write them: ISO 8601 and what is called so, RFC 2822, numbers of seconds since 1970."""

from __future__ import annotations

import datetime as dt
import re
from email.utils import parsedate_to_datetime
from typing import Any

DAY = dt.timedelta(days=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# A number is read by its size: seconds until the year 5138, then milliseconds, microseconds, nanoseconds.
UNITS = ((1e11, 1), (1e14, 1_000), (1e17, 1_000_000), (1e20, 1_000_000_000))
LEAST_SECONDS = 1e8  # March 1973: a smaller number is a counter or a duration

_ISO = re.compile(
    r"""(?P<year>\d{4})(?P<dash>[-/]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)
    (?:[T\s_,]\s*(?P<hour>\d\d):?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?
    \s*(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d){0,2})?
    (?:\s*(?:\[[^\]]*\]|[A-Z]{2,5}))?(?:\s+m=[+-][\d.]+)?  # a zone's name after its offset; the clock of Go
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
# `Date.prototype.toString`, whose name of the zone may be cut off; and the order of C's `ctime`.
_JAVASCRIPT = re.compile(r"[A-Z]{3} ([A-Z]{3}) (\d\d) (\d{4}) (\d\d:\d\d:\d\d) GMT([+-]\d{4})(?: \(.*)?", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_COMPACT = re.compile(r"(?:19|20)\d{6}(?:\d{6})?", re.ASCII)


def read_moment(value: Any) -> dt.datetime | None:
    """Return an aware moment, or None for what cannot be read. Without a zone it is UTC; digits beyond microseconds are cut."""
    try:
        match value:
            case bool():
                return None
            case int() | float():
                return _from_number(value)
            case str():
                return _from_text(value.strip())
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return None


def _from_text(text: str) -> dt.datetime | None:
    if _COMPACT.fullmatch(text) and len(text) == 14:
        text = f"{text[:8]}T{text[8:]}"
    elif _NUMBER.fullmatch(text) and not _COMPACT.fullmatch(text):
        return _from_number(float(text))
    if found := _ISO.fullmatch(text):
        return _from_parts(found)
    if found := _JAVASCRIPT.fullmatch(text):
        month, day, year, time, zone = found.groups()
        text = f"{day} {month} {year} {time} {zone}"
    try:
        read = dt.datetime.fromisoformat(text)  # weeks and ordinal days
    except ValueError:
        read = parsedate_to_datetime(text)
    return read if read.tzinfo else read.replace(tzinfo=dt.UTC)


def _from_parts(found: re.Match[str]) -> dt.datetime:
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    extra = dt.timedelta()
    if hour == 24 and minute == second == 0:  # midnight at the end of the day
        hour, extra = 0, DAY
    if second == 60:  # a leap second is the second before it, once more
        second, extra = 59, extra + dt.timedelta(seconds=1)
    year, month, day = (int(found[name]) for name in ("year", "month", "day"))
    microsecond = int(((found["fraction"] or "") + "000000")[:6])
    return dt.datetime(year, month, day, hour, minute, second, microsecond, tzinfo=_zone(found["zone"])) + extra


def _zone(text: str | None) -> dt.timezone:
    if not text or text[0] not in "+-":
        return dt.UTC
    digits = text[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = (int(digits[at : at + 2]) for at in (0, 2, 4))
    offset = dt.timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return dt.timezone(-offset if text[0] == "-" else offset)


def _from_number(number: float) -> dt.datetime | None:
    if not number >= LEAST_SECONDS:
        return None
    per_second = next((unit for most, unit in UNITS if number < most), None)
    return None if per_second is None else EPOCH + dt.timedelta(seconds=number / per_second)
