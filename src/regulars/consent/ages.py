"""The age of consent by country (GDPR Art. 8, and COPPA in the United States). Plain functions."""

from __future__ import annotations

import datetime as dt
from typing import Any

STRICTEST = 16
_AGES = {
    13: "BE EE FI GB IS LV MT NO PT SE US",
    14: "AT BG CY ES IT LT",
    15: "CZ DK FR GR SI",
}
AGE_OF_CONSENT = {country: age for age, countries in _AGES.items() for country in countries.split()}


def is_too_young(birthdate: Any, country: Any, now: dt.datetime) -> bool:
    """Return whether a customer is too young to consent.

    Of `2011` or `2011-05` the last day counts. An unknown country has the strictest age.
    """
    born = _latest(str(birthdate))
    if born is None:
        return False
    age = now.year - born.year - ((now.month, now.day) < (born.month, born.day))
    return 0 <= age < AGE_OF_CONSENT.get(str(country).upper(), STRICTEST)


def _latest(birthdate: str) -> dt.date | None:
    """Return the last day that a date of birth of any precision can mean."""
    try:
        year, *rest = (int(part) for part in birthdate.split("-"))
        match rest:
            case []:
                return dt.date(year, 12, 31)
            case [month]:
                return dt.date(year + month // 12, month % 12 + 1, 1) - dt.timedelta(days=1)
            case [month, day]:
                return dt.date(year, month, day)
    except ValueError:
        return None
    return None
