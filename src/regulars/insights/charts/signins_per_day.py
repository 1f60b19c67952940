"""Do they come back? Sign-ins on each day, days without any included."""

from __future__ import annotations

import datetime as dt
from typing import Any

import altair
from sqlglot import exp

from .about import About, Row

title = "Sign-ins per day"
columns = ("Day", "Sign-ins")


def asks(about: About) -> exp.Select:
    day = exp.cast(exp.column("at", quoted=True), "DATE")
    signed_in = exp.column("name").eq("Signed In")
    recent = exp.GTE(this=day.copy(), expression=exp.cast(exp.Literal.string(about.since.isoformat()), "DATE"))
    query = exp.select(exp.alias_(day, "day"), "COUNT(*)").from_("events").where(signed_in, recent)
    return query.group_by("day")


def rows(found: list[tuple[Any, ...]], about: About) -> list[Row]:
    """Oldest first, ISO dates."""
    counted: dict[dt.date, int] = dict(found)
    days = [about.since + dt.timedelta(days=number) for number in range(about.days)]
    return [(day.isoformat(), counted.get(day, 0)) for day in days]


def draw(rows: list[Row]) -> dict[str, Any]:
    data = altair.InlineData(values=[{"day": day, "signins": number} for day, number in rows])
    bars = altair.Chart(data, width="container", height=180).mark_bar(cornerRadiusEnd=2)
    specification: dict[str, Any] = bars.encode(
        x=altair.X("day:T", timeUnit="yearmonthdate", title=None, axis=altair.Axis(format="%-d %b", grid=False)),
        y=altair.Y("signins:Q", title=None, axis=altair.Axis(tickMinStep=1)),
    ).to_dict()
    return specification
