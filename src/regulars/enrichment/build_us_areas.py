"""Make the table of US areas from an answer of the Census Bureau's Data API that was saved to a file.

    python -m regulars.enrichment.build_us_areas SAVED.json areas.csv

SAVED.json is what the API answers to one call for all areas (a free key is needed):

    https://api.census.gov/data/2024/acs/acs5?get=NAME,B19013_001E,B01002_001E&for=zip%20code%20tabulation%20area:*&key=…

The data are in the public domain. This product uses the Census Bureau Data API but is not endorsed or certified by the
Census Bureau.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regulars.base.errors import DomainError, Invalid

INCOME, AGE, AREA = "B19013_001E", "B01002_001E", "zip code tabulation area"
HEAD = "# Median household income (dollars) and age per ZIP Code Tabulation Area, American Community Survey, 5 years.\n"


def rows(table: Any) -> list[tuple[str, str, str]]:
    """(ZCTA, income, age), sorted; empty where there is no estimate. Raises `Invalid("unknown_shape")`."""
    if not (isinstance(table, list) and table and all(isinstance(row, list) for row in table)):
        raise Invalid("unknown_shape", "The file is not a table as the Census Bureau answers it.")
    head = table[0]
    if not {INCOME, AGE, AREA} <= set(head):
        raise Invalid("unknown_shape", f"The table lacks a column: {INCOME}, {AGE} and {AREA} are needed.")
    income, age, area = head.index(INCOME), head.index(AGE), head.index(AREA)
    return sorted((str(row[area]), _known(row[income]), _known(row[age])) for row in table[1:])


def write(table: Any, target: Path) -> int:
    """Write the table. Returns how many areas it has."""
    found = rows(table)
    with target.open("w", encoding="utf-8", newline="") as file:
        file.write(HEAD)
        csv.writer(file).writerows([("zcta", "income", "age"), *found])
    return len(found)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("saved", type=Path)
    parser.add_argument("target", type=Path)
    given = parser.parse_args(arguments)
    try:
        count = write(json.loads(given.saved.read_text(encoding="utf-8")), given.target)
    except DomainError as no:
        sys.stderr.write(f"{no.message}\n")
        return 1
    except (OSError, ValueError) as fault:
        sys.stderr.write(f"The file cannot be read or written: {type(fault).__name__}.\n")
        return 1
    sys.stdout.write(f"{count} areas written to {given.target}.\n")
    return 0


def _known(value: Any) -> str:
    """The Bureau writes "no estimate" as a large negative number."""
    try:
        return str(value) if value is not None and float(value) > 0 else ""
    except (TypeError, ValueError):
        return ""


if __name__ == "__main__":
    raise SystemExit(main())
