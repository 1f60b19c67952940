"""What a chart is about, and what every chart shares."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Protocol

from sqlglot import exp

from regulars.base.conditions import Condition
from regulars.base.conditions.tree import Everything

Row = tuple[str, int]


@dataclass(frozen=True)
class About:
    """Whom and when: the people a condition holds for, by what may be used for `purpose`, over `days` up to `now`."""

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

    def asks(self, about: About) -> exp.Select: ...

    def rows(self, found: list[tuple[Any, ...]], about: About) -> list[Row]: ...

    def draw(self, rows: list[Row]) -> dict[str, Any]: ...
