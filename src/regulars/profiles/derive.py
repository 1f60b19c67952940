"""Conclusions from facts: a continent from a country, an age band from a birthdate. Plain functions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from babel import Locale

from .birthdays import age_on, birthday, business_day, days_of_birth, start_of


@dataclass(frozen=True)
class Derived:
    """A conclusion. `expires_at`: when it stops being true although its premise still is (a birthday)."""

    attribute: str
    value: Any
    expires_at: dt.datetime | None = None


def conclusions(attribute: str, value: Any, now: dt.datetime) -> list[Derived]:
    """Return what follows from the value of an attribute."""
    rule = RULES.get(attribute)
    return rule(value, now) if rule else []


def continent_of(country: Any, now: dt.datetime) -> list[Derived]:
    name = continent_of_country(str(country))
    return [Derived("continent", name)] if name else []


def continent_of_country(code: str) -> str:
    """Return the continent of a country of two letters: `PT` → `Europe`; of an unknown one the empty text."""
    return next((name for name, codes in _CONTINENT_CODES.items() if code.upper() in codes.split()), "")


def age_of(birthdate: Any, now: dt.datetime) -> list[Derived]:
    """Return the age band of a date of birth; it expires as the birthday that ends it begins.

    Of `1991` or `1991-04` the first day counts.
    """
    days = days_of_birth(birthdate)
    if days is None:
        return []
    age = age_on(days[0], business_day(now))
    for name, low, high in BANDS:
        if low <= age < high:
            return [Derived("age_band", name, start_of(birthday(days[0], high)) if high < OLDEST else None)]
    return []


def changes_after(attribute: str, value: Any, now: dt.datetime) -> dt.datetime | None:
    """Return the next instant at which something else follows from a value, such as the 18th birthday; None: never."""
    days = days_of_birth(value) if attribute == "birthdate" else None
    if days is None:
        return None
    instants = (start_of(birthday(days[0], low)) for _, low, _ in BANDS)
    return next((instant for instant in instants if instant > now), None)


RULES = {"country": continent_of, "birthdate": age_of}
CONCLUDES = {"country": ("continent",), "birthdate": ("age_band",)}
OLDEST = 200
BANDS = (("18-24", 18, 25), ("25-34", 25, 35), ("35-44", 35, 45), ("45-54", 45, 55), ("55+", 55, OLDEST))

# UN M49 continental regions, as CLDR numbers them.
_CONTINENT_CODES = {
    "Africa": "DZ AO BJ BW BF BI CV CM CF TD KM CG CD CI DJ EG GQ ER SZ ET GA GM GH GN GW KE LS LR LY MG MW ML MR MU YT MA MZ NA NE NG RE RW SH ST SN SC SL SO ZA SS SD TZ TG TN UG EH ZM ZW",
    "Asia": "AF AM AZ BH BD BT BN KH CN CY GE HK IN ID IR IQ IL JP JO KZ KW KG LA LB MO MY MV MN MM NP KP OM PK PS PH QA SA SG KR LK SY TW TJ TH TL TR TM AE UZ VN YE",
    "Europe": "AX AL AD AT BY BE BA BG HR CZ DK EE FO FI FR DE GI GR GG VA HU IS IE IM IT JE LV LI LT LU MT MD MC ME NL MK NO PL PT RO RU SM RS SK SI ES SJ SE CH UA GB",
    "North America": "AI AG AW BS BB BZ BM BQ CA KY CR CU CW DM DO SV GL GD GP GT HT HN JM MQ MX MS NI PA PR BL KN LC MF PM VC SX TT TC US VG VI",
    "Oceania": "AS AU CK FJ PF GU KI MH FM NR NC NZ NU NF MP PW PG PN WS SB TK TO TV UM VU WF",
    "South America": "AR BO BR CL CO EC FK GF GY PY PE SR UY VE",
}


def country_name(code: str, locale: str = "en") -> str:
    """Return the name of a country: `PT` → `Portugal`; an unknown code as it is."""
    return str(Locale.parse(locale).territories.get(code.upper(), code))
