"""The US Census Bureau's American Community Survey: the median household income of a ZIP code's area.

Only the ZIP code is sent. Areas are ZIP Code Tabulation Areas: post-office boxes have none and get no answer.
This product uses the Census Bureau Data API but is not endorsed or certified by the Census Bureau.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from regulars.base import http
from regulars.base.errors import Invalid
from regulars.base.plugins.fields import check_web_address

from ..calls import ask, failure_of
from ..source import EnrichmentSource, LookupFailed, SettingField

INCOME, AREA = "B19013_001E", "zip code tabulation area"  # median household income, dollars of the survey's last year
NOT_COMPUTABLE = -100_000_000  # at or below: one of the Bureau's codes for "no estimate", never an amount
_ZIP = re.compile(r"(\d{5})(?:-\d{4})?", re.ASCII)
_YEAR = re.compile(r"20\d\d", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,12}", re.ASCII)


class UsCensus(EnrichmentSource):
    title = "US Census: income of the area"
    company = "US Census"
    help = "Median household income of the area a US ZIP code belongs to. Sends the ZIP code and nothing else."
    fields = (
        SettingField("base_url", "Address of the API", default="https://api.census.gov/data"),
        SettingField("year", "Last year of the five-year survey", "The newest is 2024.", default="2024"),
        SettingField("api_key", "Key", "Free by e-mail; the Bureau requires one.", secret=True),
    )
    needs = ("postal_code", "country")
    gives = ("area_median_income",)
    is_about_areas = True
    source_kind = "inferred"
    confidence = 0.6
    fresh_days, nothing_days = 180, 30

    def check(self, settings: Mapping[str, str]) -> None:
        """`Invalid("bad_url" | "bad_year")`."""
        check_web_address(settings["base_url"], "The address of the API")
        if not _YEAR.fullmatch(settings["year"]):
            raise Invalid("bad_year", "The year has four digits, such as 2024.")

    def question(self, traits: Mapping[str, Any]) -> str | None:
        """Return the five digits. Without a country there is no question: 10437 is also a postal code of Berlin."""
        match = _ZIP.fullmatch(str(traits.get("postal_code", "")).strip())
        return match[1] if match and traits.get("country") == "US" else None

    def ask(self, question: str, settings: Mapping[str, str]) -> Mapping[str, int]:
        asked = {"get": INCOME, "for": f"{AREA}:{question}", "key": settings["api_key"]}
        url = f"{settings['base_url'].rstrip('/')}/{settings['year']}/acs/acs5?{urlencode(asked)}"
        income = _income(_table(ask("GET", url)), question)
        return {} if income is None else {"area_median_income": income}


def _table(answer: http.Response) -> list[list[Any]]:
    """Return the rows, column names first; none when the Bureau knows no such area (204)."""
    if answer.status == 204:
        return []
    if answer.status != 200:
        raise failure_of(answer, "The Census Bureau")  # a redirect leads to a page about the missing key: permanent
    if answer.body.lstrip().startswith(b"<"):
        # the Bureau answers "invalid key" as an HTML page with status 200; any other page is maintenance
        if "invalid key" in answer.text.lower() or "missing key" in answer.text.lower():
            raise LookupFailed("bad_key", "The Census Bureau does not accept the key.", permanent=True)
        raise LookupFailed("html_answer", "The Census Bureau answered with an HTML page.")
    try:
        table = answer.json()
    except http.RequestFailed as fault:
        raise LookupFailed(fault.code, fault.message) from None
    if not (isinstance(table, list) and table and all(isinstance(row, list) for row in table)):
        raise LookupFailed("unknown_shape", "The answer is JSON, but not a table.", permanent=True)
    return table


def _income(table: list[list[Any]], area: str) -> int | None:
    """Return dollars, or None when there is no estimate. 250001 stands for "more than 250,000", 2499 for "less than 2,500"."""
    if not table:
        return None
    head, *rows = table
    if INCOME not in head or AREA not in head:
        raise LookupFailed("unknown_shape", "The answer lacks the columns that were asked for.", permanent=True)
    income, place = head.index(INCOME), head.index(AREA)
    found = next((row[income] for row in rows if len(row) == len(head) and row[place] == area), None)
    if found is None:
        return None
    if not _NUMBER.fullmatch(str(found)):
        raise LookupFailed("unknown_shape", "The income in the answer is not a whole number.", permanent=True)
    amount = int(found)
    if NOT_COMPUTABLE < amount <= 0:
        raise LookupFailed("unknown_shape", "The income in the answer is not an amount.", permanent=True)
    return amount if amount > 0 else None


us_census = UsCensus()
