"""Which decision holds when several were made. Plain functions: the same history gives the same answer in any order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Protocol, TypeVar

YES = frozenset({"given", "imported"})
NO = frozenset({"refused", "withdrawn", "objected", "expired", "gpc"})
CUSTOMER_NO = NO - {"expired"}
BEFORE_ANYTHING = dt.datetime.min.replace(tzinfo=dt.UTC)


class Decided(Protocol):
    action: str
    at: dt.datetime
    id: int


D = TypeVar("D", bound=Decided)


def effective_decision(history: Iterable[D]) -> D | None:
    """The decision that holds of all on one purpose, or None when none was made.

    Later wins; of two at the same instant the no wins. A list that somebody imports never takes back a no of hers.
    """
    held: D | None = None
    for each in sorted(history, key=lambda each: (each.at, each.action in NO, each.id)):
        if each.action == "imported" and held is not None and held.action in CUSTOMER_NO:
            continue
        held = each
    return held
