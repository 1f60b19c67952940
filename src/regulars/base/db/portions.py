"""Read or delete many rows a portion at a time, with nothing open in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)
AT_ONCE = 1000  # rows that one statement deletes


def portions(rows: QuerySet[Row], size: int) -> Iterator[list[Row]]:
    """Yield the rows in the order of their primary keys, at most `size` at once, each portion by a query of its own.

    The caller may write, delete and commit between two of them. A cursor that stays open meanwhile shows SQLite's database as
    it was at first, and what is written on top of that is refused as soon as another process has written ("database is locked").
    """
    rest = rows.order_by("pk")
    portion = list(rest[:size])
    while portion:
        last = portion[-1].pk  # read before the caller may delete the row
        yield portion
        portion = list(rest.filter(pk__gt=last)[:size])


def delete_in_portions(rows: QuerySet[Row], by: str) -> int:
    """Delete the rows, a portion in each transaction, so that other writers wait for none long. Returns how many were deleted.

    `by` is the indexed column that the condition on the rows is about.
    """
    deleted = 0
    while numbers := list(rows.order_by(by).values_list("pk", flat=True)[:AT_ONCE]):
        done = rows.filter(pk__in=numbers).delete()[0]
        if not done:  # written again meanwhile
            break
        deleted += done
    return deleted
