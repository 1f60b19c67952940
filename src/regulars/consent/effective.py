"""The effective decision of several on one purpose. Plain functions: the order of a history does not matter."""

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
    """Return the decision that counts of all on one purpose, or None when none was made.

    The later one wins; of two at the same instant the no wins. An imported list never reverses a no of the customer.
    """
    effective: D | None = None
    for each in sorted(history, key=lambda each: (each.at, each.action in NO, each.id)):
        if each.action == "imported" and effective is not None and effective.action in CUSTOMER_NO:
            continue
        effective = each
    return effective
