"""The place of an internet address out of a database file on this machine, as Auth0's `context.request.geoip`.

A file in MaxMind's format: the one that `REGULARS_GEOIP_FILE` names (GeoLite2 or DB-IP, of countries or cities), else
the table of countries that is fetched with the modules of rules. Reading takes some microseconds; no call is made.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

import maxminddb
from babel import Locale
from babel.core import get_global
from django.conf import settings

from regulars.base.errors import DomainError
from regulars.base.json_values import value_at
from regulars.profiles.derive import continent_of_country

from .auth0_context import GeoIp
from .sandbox.compile_cache import cached

CONTINENT_CODES = {
    "Africa": "AF",
    "Antarctica": "AN",
    "Asia": "AS",
    "Europe": "EU",
    "North America": "NA",
    "Oceania": "OC",
    "South America": "SA",
}
# Codes that ISO 3166-1 withdrew, of countries that have another one now.
WITHDRAWN = {"BUR", "DDR", "FXX", "QUU", "ROM", "TMP", "YMD", "ZAR"}


class NoPlaces(DomainError):
    """`no_geoip_database`: there is no file, or one that cannot be read."""


def geoip_file() -> Path:
    """Return the path of the database, whether it exists or not."""
    return Path(settings.GEOIP_FILE) if settings.GEOIP_FILE else country_table()


def country_table() -> Path:
    """Return the path of the table of countries that is fetched with the modules of rules."""
    return cached("geoip-country.mmdb")


def opened() -> maxminddb.Reader:
    """Return the open database, the file of now. Raises `NoPlaces("no_geoip_database")`."""
    path = geoip_file()
    try:
        about = path.stat()
        return _opened(path, about.st_mtime_ns, about.st_size)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError):
        raise NoPlaces("no_geoip_database", "There is no database of the places of internet addresses.") from None


@lru_cache(maxsize=1)
def _opened(path: Path, changed: int, size: int) -> maxminddb.Reader:
    return maxminddb.open_database(path, maxminddb.MODE_MMAP)


def has_places() -> bool:
    try:
        opened()
    except NoPlaces:
        return False
    return True


def place_of(address: str) -> GeoIp | None:
    """Return the place of a public address, with those fields that the database has, or None."""
    try:
        reader, asked = opened(), ipaddress.ip_address(address.partition("%")[0])
        if isinstance(asked, ipaddress.IPv6Address) and asked.ipv4_mapped:
            asked = asked.ipv4_mapped
        if asked.version == 6 and reader.metadata().ip_version == 4:
            return None
        record = reader.get(asked)
    except (NoPlaces, ValueError, maxminddb.InvalidDatabaseError):
        return None
    return _auth0_fields(record) if isinstance(record, dict) else None


def _auth0_fields(record: Mapping[str, Any]) -> GeoIp | None:
    """Read MaxMind's nested records and flat ones, such as `{"country_code": "SE"}`."""
    code = str(record.get("country_code") or value_at(record, "country", "iso_code") or "").upper()
    if len(code) != 2:
        return None
    where = record.get("location", record)
    place: dict[str, Any] = {
        "country_code": code,
        "country_code3": _three_letters().get(code),
        "country_name": value_at(record, "country", "names", "en") or Locale("en").territories.get(code),
        "continent_code": value_at(record, "continent", "code") or CONTINENT_CODES.get(continent_of_country(code)),
        "city_name": value_at(record, "city", "names", "en") or record.get("city"),
        "subdivision_code": value_at(record, "subdivisions", 0, "iso_code"),
        "subdivision_name": value_at(record, "subdivisions", 0, "names", "en") or record.get("state1"),
        "latitude": _number(value_at(where, "latitude")),
        "longitude": _number(value_at(where, "longitude")),
        "time_zone": value_at(record, "location", "time_zone") or record.get("timezone"),
    }
    texts = place.keys() - {"latitude", "longitude"}
    known = {
        key: value for key, value in place.items() if value is not None and (key not in texts or isinstance(value, str))
    }
    return cast(GeoIp, known)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


@cache
def _three_letters() -> dict[str, str]:
    """Return ISO 3166-1 alpha-3 of alpha-2: CLDR has it the other way round, as aliases of territories."""
    aliases = get_global("territory_aliases")
    return {
        now[0]: code
        for code, now in aliases.items()
        if len(code) == 3 and code.isalpha() and len(now) == 1 and code not in WITHDRAWN
    }
