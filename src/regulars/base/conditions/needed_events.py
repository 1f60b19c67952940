"""Which events of a person decide conditions, so that no others are read: a loyal customer has tens of thousands."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .range_bounds import bounded_days
from .tree import Condition, Did, walk

EVER = dt.datetime.min.replace(tzinfo=dt.UTC)
MOST_COUNTED = 1000  # events; to count to more of them, all are read


@dataclass(frozen=True)
class NeededEvents:
    """Of one name: all at or after `since` (None: none for their time alone), the `newest` few, and the `oldest` one.

    More of them do no harm: a condition looks at the time of each.
    """

    since: dt.datetime | None = None
    newest: int = 0
    oldest: bool = False

    def __or__(self, other: NeededEvents) -> NeededEvents:
        both = [each for each in (self.since, other.since) if each is not None]
        return NeededEvents(min(both, default=None), max(self.newest, other.newest), oldest=self.oldest or other.oldest)


def needed_events(conditions: Iterable[Condition], now: dt.datetime) -> Mapping[str, NeededEvents]:
    """Return what conditions need of the events of each name at this moment."""
    found: dict[str, NeededEvents] = {}
    for condition in conditions:
        for node in walk(condition):
            if isinstance(node, Did):
                found[node.event] = found.get(node.event, NeededEvents()) | _needed(node, now)
    return found


def _needed(did: Did, now: dt.datetime) -> NeededEvents:
    """Return what one of them needs. Without a condition on properties, a few of the newest events decide a count.

    If they are not all within its window, no older one is.
    """
    if did.where is None and did.aggregate == "last":
        return NeededEvents(newest=1)
    if did.where is None and did.aggregate == "count" and did.number < MOST_COUNTED:
        return NeededEvents(newest=int(max(did.number, 0)) + 1)
    if did.within_days is not None:
        return NeededEvents(since=now - dt.timedelta(days=bounded_days(did.within_days)))
    if did.where is None and did.aggregate == "first":
        return NeededEvents(oldest=True)
    return NeededEvents(since=EVER)
