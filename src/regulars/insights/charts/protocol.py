"""The scope of a chart and the shape of a chart module."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Protocol

from sqlglot import exp

from regulars.base.conditions import Condition
from regulars.base.conditions.tree import Everything

ChartRow = tuple[str, int]


@dataclass(frozen=True)
class ChartScope:
    """The customers for whom a condition holds, by what may be used for `purpose`, over `days` up to `now`."""

    now: dt.datetime
    days: int = 30
    condition: Condition = Everything()  # noqa: RUF009 - frozen, so sharing it is safe
    purpose: str = "measure"
    attribute: str = ""

    @property
    def since(self) -> dt.date:
        return self.now.date() - dt.timedelta(days=self.days - 1)


class Chart(Protocol):
    """The shape of a chart module."""

    title: str
    columns: tuple[str, str]

    def query(self, scope: ChartScope) -> exp.Select: ...

    def rows(self, found: list[tuple[Any, ...]], scope: ChartScope) -> list[ChartRow]: ...

    def draw(self, rows: list[ChartRow]) -> dict[str, Any]: ...
