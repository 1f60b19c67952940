"""A chart's question, asked of the lake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from regulars.base.lake.query import query
from regulars.base.plugins.catalog import Catalog

from .charts.about import About, Chart, Row

CHARTS = Catalog[Chart]("charts")


@dataclass(frozen=True)
class Answer:
    """A drawing (`spec`, Vega-Lite) and the same figures as a table (`columns`, `rows`)."""

    key: str
    title: str
    columns: tuple[str, str]
    rows: list[Row]
    spec: dict[str, Any]

    @property
    def total(self) -> int:
        return sum(number for _, number in self.rows)


def answer(key: str, about: About) -> Answer:
    """The chart with this key, about these people and days. Raises `Invalid("unknown_plugin")`."""
    chart = CHARTS[key]
    rows = chart.rows(query(chart.asks(about)), about)
    return Answer(key, chart.title, chart.columns, rows, chart.draw(rows))
