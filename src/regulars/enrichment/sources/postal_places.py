"""The town and region of a postal code, out of a table on this machine in GeoNames' format (tab-separated).

A small sample comes with us; the operator brings the whole from GeoNames (CC BY): allCountries.txt or one country's.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import check_file, loaded
from ..source import SettingField

COUNTRY, CODE, PLACE, REGION = 0, 1, 2, 3  # GeoNames' columns
Places = dict[str, dict[str, str]]


class PostalPlaces:
    title = "Place of her postal code"
    help = "The town and region of her postal code. Reads a table; asks nobody."
    fields = (
        SettingField(
            "file",
            "Table",
            "Path of GeoNames' postal codes on this machine. Empty: the sample of a few codes that comes with us.",
            required=False,
        ),
    )
    needs = ("postal_code", "country")
    gives = ("city", "region")
    purpose = "personalise"
    is_about_areas = True
    is_local = True
    source_kind = "inferred"
    confidence = 0.8
    fresh_days, nothing_days = 180, 30

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("no_such_file")`."""
        check_file(settings["file"])

    def question(self, traits: Mapping[str, Any]) -> str | None:
        """`PT 4000-001`: country and code as the table writes them."""
        code, country = traits.get("postal_code"), traits.get("country")
        if not isinstance(code, str) or not isinstance(country, str) or not 2 <= len(code.strip()) <= 12:
            return None
        return f"{country.strip().upper()} {_code(country, code)}" if len(country.strip()) == 2 else None

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, str]:
        return loaded(_places, settings["file"], "postal_sample.tsv").get(question, {})


def _places(path: Path) -> Places:
    """`PT 4000-001` → city and region; of several places under one code the first, as GeoNames sorts them."""
    found: Places = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if len(row) > REGION and not row[0].startswith("#"):
                place = {"city": row[PLACE], "region": row[REGION]}
                key = f"{row[COUNTRY]} {_code(row[COUNTRY], row[CODE])}"
                found.setdefault(key, {name: value for name, value in place.items() if value})
    return found


def _code(country: str, code: str) -> str:
    """ZIP+4 is looked up by its five digits."""
    text = code.strip().upper()
    return text[:5] if country.strip().upper() == "US" else text


postal_places = PostalPlaces()
