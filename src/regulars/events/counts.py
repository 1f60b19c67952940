"""Count what sources sent that was set aside, or taken without a part of it: per source, day and reason."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import F, Max, Sum

from regulars.base import clock

from .models import SourceCount

SHOWN_DAYS = 30


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """The messages of one source for one reason in the last `SHOWN_DAYS` days, with the newest day."""

    source: str
    slug: str
    reason: str
    count: int
    last: dt.date


def add_counts(counts: Mapping[tuple[int, str], int]) -> None:
    """Add numbers by (source id, reason) to those of today, in one order, so that two writers never wait for each other."""
    day = clock.today()
    rows = [SourceCount(source_id=source, day=day, reason=reason) for source, reason in sorted(counts)]
    SourceCount.objects.bulk_create(rows, ignore_conflicts=True)
    for (source, reason), number in sorted(counts.items()):
        today = SourceCount.objects.filter(source=source, day=day, reason=reason)
        today.update(count=F("count") + number)


def recent_counts() -> list[ReasonCount]:
    """Return the counts of every source, the most frequent first."""
    since = clock.today() - dt.timedelta(days=SHOWN_DAYS)
    found = SourceCount.objects.filter(day__gte=since).values("source__name", "source__slug", "reason")
    found = found.annotate(number=Sum("count"), last=Max("day")).order_by("source__name", "-number", "reason")
    return [
        ReasonCount(row["source__name"], row["source__slug"], row["reason"], row["number"], row["last"])
        for row in found
    ]
