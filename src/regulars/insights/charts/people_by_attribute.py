"""People by attribute: the most frequent values of one attribute among the people of a segment."""

from __future__ import annotations

from typing import Any

import altair
from sqlglot import exp

from regulars.base.conditions import where
from regulars.base.lake.query import DIALECT
from regulars.consent.countable import PEOPLE

from .protocol import ChartRow, ChartScope

title = "Who they are"
columns = ("Value", "Customers")

BARS = 12
NOT_KNOWN = "Not known"
ALL_OTHERS = "All others"


def query(scope: ChartScope) -> exp.Select:
    """Select each member once per value of the attribute; once without a value when it is not known for the purpose."""
    inside = where(scope.condition, PEOPLE, DIALECT, scope.now)
    path = exp.Literal.string('$."' + scope.attribute.replace('"', "") + '"')
    values = f"FROM_JSON(JSON_EXTRACT(p.terms, {path.sql(DIALECT)}), '[\"VARCHAR\"]')"
    people = (
        exp.select(f"UNNEST(COALESCE({values}, [NULL])) AS term", dialect=DIALECT)
        .from_("views AS p")
        .where(exp.column("purpose", "p").eq(scope.purpose), inside)
    )
    return exp.select("term", "COUNT(*)").from_(people.subquery("people")).group_by("term")


def rows(found: list[tuple[Any, ...]], scope: ChartScope) -> list[ChartRow]:
    """Return the most frequent values first, the rest together, and the unknown last, which is never dropped."""
    known = sorted(((term[2:], number) for term, number in found if term), key=lambda row: (-row[1], row[0]))
    rest = sum(number for _, number in known[BARS:])
    unknown = sum(number for term, number in found if not term)
    return [*known[:BARS], *([(ALL_OTHERS, rest)] if rest else []), *([(NOT_KNOWN, unknown)] if unknown else [])]


def draw(rows: list[ChartRow]) -> dict[str, Any]:
    data = altair.InlineData(values=[{"value": value, "customers": number} for value, number in rows])
    bars = altair.Chart(data, width="container", height={"step": 24}).mark_bar(cornerRadiusEnd=2)
    specification: dict[str, Any] = bars.encode(
        x=altair.X("customers:Q", title=None, axis=altair.Axis(tickMinStep=1)),
        y=altair.Y("value:N", title=None, sort=None, axis=altair.Axis(labelLimit=160)),
    ).to_dict()
    return specification
