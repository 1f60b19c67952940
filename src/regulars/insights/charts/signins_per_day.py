"""Sign-ins per day of customers who may be counted: how often they come back; days without a sign-in are included."""

from __future__ import annotations

import datetime as dt
from typing import Any

import altair
from sqlglot import exp

from regulars.consent.countable import open_to
from regulars.events.own_events import OwnEvent

from .protocol import ChartRow, ChartScope

title = "Sign-ins per day"
columns = ("Day", "Sign-ins")
LABEL_EVERY = 5  # days


def query(scope: ChartScope) -> exp.Select:
    day = exp.cast(exp.column("at", quoted=True), "DATE")
    signed_in = exp.column("name").eq(OwnEvent.SIGNED_IN.value)
    recent = exp.GTE(this=day.copy(), expression=exp.cast(exp.Literal.string(scope.since.isoformat()), "DATE"))
    counted = exp.column("profile_id").isin(query=open_to(scope.purpose))
    select = exp.select(exp.alias_(day, "day"), "COUNT(*)").from_("events").where(signed_in, recent, counted)
    return select.group_by("day")


def rows(found: list[tuple[Any, ...]], scope: ChartScope) -> list[ChartRow]:
    """Return one row per day, oldest first, with ISO dates."""
    counted: dict[dt.date, int] = dict(found)
    days = [scope.since + dt.timedelta(days=number) for number in range(scope.days)]
    return [(day.isoformat(), counted.get(day, 0)) for day in days]


def draw(rows: list[ChartRow]) -> dict[str, Any]:
    # Names of days, not instants: a time axis has ticks beyond the last day, and reads dates in the browser's time zone.
    names = [f"{each.day} {each:%b}" for each in (dt.date.fromisoformat(str(day)) for day, _ in rows)]
    values = [{"day": name, "signins": number} for name, (_, number) in zip(names, rows, strict=True)]
    data = altair.InlineData(values=values)
    labelled = names[::-LABEL_EVERY][::-1]  # today is among them
    bars = altair.Chart(data, width="container", height=180).mark_bar(cornerRadiusEnd=2)
    specification: dict[str, Any] = bars.encode(
        x=altair.X(
            "day:O", sort=None, title=None, axis=altair.Axis(values=labelled, labelAngle=0, grid=False, ticks=False)
        ),
        y=altair.Y("signins:Q", title=None, axis=altair.Axis(tickMinStep=1)),
    ).to_dict()
    return specification
