"""The age of consent by country (GDPR Art. 8, and COPPA in the United States). Plain functions."""

from __future__ import annotations

import datetime as dt
from typing import Any

from regulars.profiles.birthdays import age_on, business_day, days_of_birth

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
    days = days_of_birth(birthdate)
    if days is None:
        return False
    return 0 <= age_on(days[1], business_day(now)) < AGE_OF_CONSENT.get(str(country).upper(), STRICTEST)
