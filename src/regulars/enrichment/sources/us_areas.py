"""Median household income and age of a US ZIP code's area, out of a table on this machine: no key, no call.

`python -m regulars.enrichment.build_us_areas` makes the whole table from what the Census Bureau publishes. A sample of
a few areas comes with us. Values are of the area, never of the person.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import check_file, loaded
from ..source import SettingField

_ZIP = re.compile(r"(\d{5})(?:-\d{4})?", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}(\.\d+)?", re.ASCII)
Areas = dict[str, dict[str, float]]


class UsAreas:
    title = "US areas, from a table"
    help = "Median household income and age of the area of her US ZIP code. Reads a table; asks nobody."
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
    purpose = "measure"
    is_about_areas = True
    is_local = True
    source_kind = "inferred"
    confidence = 0.6
    fresh_days, nothing_days = 180, 30

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("no_such_file")`."""
        check_file(settings["file"])

    def question(self, traits: Mapping[str, Any]) -> str | None:
        match = _ZIP.fullmatch(str(traits.get("postal_code", "")).strip())
        return match[1] if match and traits.get("country") == "US" else None

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, float]:
        return loaded(_areas, settings["file"], "us_areas_sample.csv").get(question, {})


def _areas(path: Path) -> Areas:
    """ZCTA → what is known of it. Lines that start with # say where the table is from."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {row["zcta"]: _values(row) for row in rows}


def _values(row: Mapping[str, str]) -> dict[str, float]:
    said = {"area_median_income": row.get("income") or "", "area_median_age": row.get("age") or ""}
    return {key: _number(value) for key, value in said.items() if _NUMBER.fullmatch(value)}


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


us_areas = UsAreas()
