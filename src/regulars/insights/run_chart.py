"""Run a chart: query the lake, shape the rows and draw them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from regulars.base.lake.query import query
from regulars.base.plugins.catalog import Catalog

from .charts.protocol import Chart, ChartRow, ChartScope

CHARTS = Catalog[Chart]("charts")


@dataclass(frozen=True)
class ChartResult:
    """A drawing (`spec`, Vega-Lite) and the same figures as a table (`columns`, `rows`)."""

    key: str
    title: str
    columns: tuple[str, str]
    rows: list[ChartRow]
    spec: dict[str, Any]

    @property
    def total(self) -> int:
        return sum(number for _, number in self.rows)

    def redrawn(self, rows: list[ChartRow], title: str = "") -> ChartResult:
        """Return the chart with other rows or another title."""
        return replace(self, rows=rows, title=title or self.title, spec=CHARTS[self.key].draw(rows))


def run_chart(key: str, scope: ChartScope) -> ChartResult:
    """Return the chart with this key over these customers and days. Raises `Invalid("unknown_plugin")`."""
    chart = CHARTS[key]
    rows = chart.rows(query(chart.query(scope)), scope)
    return ChartResult(key, chart.title, chart.columns, rows, chart.draw(rows))
