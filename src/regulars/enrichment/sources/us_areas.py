"""Median household income and age of a US ZIP code's area, out of a table on this machine: no key, no call.

`python -m regulars.enrichment.build_us_areas` builds the whole table from the Census Bureau's publications. A sample of a
few areas is included. Values are of the area, never of the person.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import TableSource
from ..source import SettingField

_ZIP = re.compile(r"(\d{5})(?:-\d{4})?", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}(\.\d+)?", re.ASCII)
Areas = dict[str, dict[str, float]]


class UsAreas(TableSource):
    title = "US areas, from a table"
    help = "Median household income and age of the area of the customer's US ZIP code. Reads a table; no call is made."
    fields = (
        SettingField(
            "file",
            "Table",
            "Path of a table made by regulars.enrichment.build_us_areas. Empty: the sample of a few areas.",
            required=False,
        ),
    )
    needs = ("postal_code", "country")
    gives = ("area_median_income", "area_median_age")
    sample = "us_areas_sample.csv"
    confidence = 0.6

    def question(self, traits: Mapping[str, Any]) -> str | None:
        match = _ZIP.fullmatch(str(traits.get("postal_code", "")).strip())
        return match[1] if match and traits.get("country") == "US" else None

    @staticmethod
    def read(path: Path) -> Areas:
        """Return ZCTA → its values. Lines that start with # name the origin of the table."""
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(line for line in file if not line.startswith("#"))
            return {row["zcta"]: _values(row) for row in rows}


def _values(row: Mapping[str, str]) -> dict[str, float]:
    found = {"area_median_income": row.get("income") or "", "area_median_age": row.get("age") or ""}
    return {
        key: float(value) if "." in value else int(value) for key, value in found.items() if _NUMBER.fullmatch(value)
    }


us_areas = UsAreas()
