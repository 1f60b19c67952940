"""Decide when an event happened, by our clock, and name what of its times could not be read."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from regulars.base.moments import read_moment

FAST_CLOCK = dt.timedelta(minutes=5)  # a clock that is ahead by less is usual, and nothing to report
# RudderStack's SDKs say `originalTimestamp` where Segment's say `timestamp`.
CLAIMED = {"timestamp": "timestamp_unreadable", "originalTimestamp": "original_timestamp_unreadable"}


@dataclass(frozen=True, slots=True)
class EventTime:
    """The time of an event, and the marks for those of its times that were not used."""

    at: dt.datetime
    marks: tuple[str, ...] = ()


def event_time(message: dict[str, Any], sent_at: str, received_at: dt.datetime) -> EventTime:
    """Return the time of a message: of the sender's clock only differences count. Never in the future."""
    marks = [mark for name, mark in CLAIMED.items() if _is_given(message.get(name)) and not read_moment(message[name])]
    claimed = next((at for name in CLAIMED if (at := read_moment(message.get(name)))), None)
    sent = sent_at if sent_at else message.get("sentAt")
    if _is_given(sent) and not read_moment(sent):
        marks.append("sent_at_unreadable")
    if claimed is None:
        return EventTime(received_at, tuple(marks))
    at = _corrected(claimed, read_moment(sent), received_at)
    if at is None or at.year < 1970:
        return EventTime(received_at, (*marks, "timestamp_before_1970"))
    if at > received_at:
        return EventTime(
            received_at, (*marks, "timestamp_in_future") if at > received_at + FAST_CLOCK else tuple(marks)
        )
    return EventTime(at, tuple(marks))


def corrected(timestamp: Any, sent_at: str, received_at: dt.datetime) -> dt.datetime:
    """Return the time of an event by its `timestamp` alone."""
    return event_time({"timestamp": timestamp}, sent_at, received_at).at


def _is_given(value: Any) -> bool:
    return value is not None and value != ""


def _corrected(claimed: dt.datetime, sent: dt.datetime | None, received_at: dt.datetime) -> dt.datetime | None:
    try:
        return received_at - (sent - claimed) if sent else claimed
    except OverflowError:
        return None
