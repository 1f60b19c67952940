"""Country, region and time zone of the network of the last sign-in, out of a database file on this machine.

Any file in MaxMind's format: GeoLite2 or DB-IP City, or a flat one of countries. The operator downloads it; none is
included, because their licences do not allow it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import maxminddb

from regulars.base.errors import Invalid
from regulars.base.json_values import value_at

from ..files import check_file, loaded
from ..source import LAST_IP, EnrichmentSource, LookupFailed, SettingField


class IpLocation(EnrichmentSource):
    title = "Place of the network"
    help = "Country, region and time zone of the network of the last sign-in. Reads a file; no call is made."
    fields = (
        SettingField("file", "Database file", "Path of a .mmdb file on this machine, such as GeoLite2-City.mmdb."),
    )
    needs = (LAST_IP,)
    gives = ("network_country", "network_region", "time_zone")
    purpose = "measure"
    is_local = True
    source_kind = "inferred"
    confidence = 0.5
    fresh_days, nothing_days = 30, 7

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("no_such_file" | "bad_database")`."""
        check_file(settings["file"])
        try:
            loaded(_opened, settings["file"])
        except LookupFailed:
            raise Invalid("bad_database", "The file is not a database in MaxMind's format.") from None

    def question(self, traits: Mapping[str, Any]) -> str | None:
        """Ask about public addresses only: private ones have no place."""
        try:
            address = ipaddress.ip_address(str(traits.get(LAST_IP, "")))
        except ValueError:
            return None
        return str(address) if address.is_global else None

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, Any]:
        found = loaded(_opened, settings["file"]).get(question)
        if not isinstance(found, dict):
            return {}
        read = {
            "network_country": found.get("country_code") or value_at(found, "country", "iso_code"),
            "network_region": value_at(found, "subdivisions", 0, "iso_code"),
            "time_zone": value_at(found, "location", "time_zone"),
        }
        return {key: value for key, value in read.items() if isinstance(value, str) and value}


def _opened(path: Path) -> maxminddb.Reader:
    try:
        return maxminddb.open_database(path, maxminddb.MODE_MEMORY)
    except maxminddb.InvalidDatabaseError:
        raise ValueError("no database in MaxMind's format") from None


ip_location = IpLocation()
