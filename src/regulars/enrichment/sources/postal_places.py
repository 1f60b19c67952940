"""The town and region of a postal code, out of a table on this machine in GeoNames' format (tab-separated).

A small sample is included; the operator downloads the rest from GeoNames (CC BY): allCountries.txt or one country's.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import TableSource
from ..source import SettingField

COUNTRY, CODE, PLACE, REGION = 0, 1, 2, 3  # GeoNames' columns
Places = dict[str, dict[str, str]]


class PostalPlaces(TableSource):
    title = "Place of the postal code"
    help = "The town and region of the customer's postal code. Reads a table; no call is made."
    fields = (
        SettingField(
            "file",
            "Table",
            "Path of GeoNames' postal codes on this machine. Empty: the sample of a few codes that is included.",
            required=False,
        ),
    )
    needs = ("postal_code", "country")
    gives = ("city", "region")
    purpose = "personalise"
    sample = "postal_sample.tsv"
    confidence = 0.8

    def question(self, traits: Mapping[str, Any]) -> str | None:
        """Return `PT 4000-001`: country and code as the table writes them."""
        code, country = traits.get("postal_code"), traits.get("country")
        if not isinstance(code, str) or not isinstance(country, str) or not 2 <= len(code.strip()) <= 12:
            return None
        return f"{country.strip().upper()} {_code(country, code)}" if len(country.strip()) == 2 else None

    @staticmethod
    def read(path: Path) -> Places:
        """Return `PT 4000-001` → city and region; of several places under one code the first in GeoNames' order."""
        found: Places = {}
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                if len(row) > REGION and not row[0].startswith("#"):
                    place = {"city": row[PLACE], "region": row[REGION]}
                    key = f"{row[COUNTRY]} {_code(row[COUNTRY], row[CODE])}"
                    found.setdefault(key, {name: value for name, value in place.items() if value})
        return found


def _code(country: str, code: str) -> str:
    """Look up ZIP+4 by its five digits."""
    text = code.strip().upper()
    return text[:5] if country.strip().upper() == "US" else text


postal_places = PostalPlaces()
