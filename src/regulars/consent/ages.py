"""The age of consent by country (GDPR Art. 8, and COPPA in the United States). Plain functions."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from regulars.profiles.birthdays import age_on, business_day, days_of_birth

STRICTEST = 16
_AGES = {
    13: "BE EE FI GB IS LV MT NO PT SE US",
    14: "AT BG CY ES IT LT",
    15: "CZ DK FR GR SI",
}
AGE_OF_CONSENT = {country: age for age, countries in _AGES.items() for country in countries.split()}


@dataclass(frozen=True)
class KnownAge:
    """What is known of a customer's age: the date of birth that counts, and every country and time zone that a source names."""

    birthdate: Any
    countries: tuple[Any, ...] = ()
    time_zones: tuple[Any, ...] = ()

    def is_too_young(self, at: dt.datetime) -> bool:
        """Return whether the customer was too young to consent at an instant."""
        return is_too_young(self.birthdate, self.countries, at, self.time_zones)


def age_needed(countries: Iterable[Any]) -> int:
    """Return the age of consent, the strictest of several countries'. An unknown country, or none, has the strictest age."""
    return max((AGE_OF_CONSENT.get(str(country).upper(), STRICTEST) for country in countries), default=STRICTEST)


def is_too_young(birthdate: Any, countries: Iterable[Any], at: dt.datetime, time_zones: Iterable[Any] = ()) -> bool:
    """Return whether a customer was too young to consent at an instant.

    Of `2011` or `2011-05` the last day counts, and who is not born yet is too young. The birthday has to have begun in the
    business's time zone and in all of `time_zones`.
    """
    days = days_of_birth(birthdate)
    if days is None:
        return False
    age = age_needed(countries)
    reached = [business_day(at), *(at.astimezone(zone).date() for zone in filter(None, map(_zone, time_zones)))]
    return age_on(days[1], min(reached)) < age


def _zone(name: Any) -> zoneinfo.ZoneInfo | None:
    try:
        return zoneinfo.ZoneInfo(str(name))
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):  # applications write what they like
        return None
