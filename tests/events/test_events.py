from __future__ import annotations

import datetime as dt

import pytest

from regulars.base import clock
from regulars.base.conditions import NeededEvents
from regulars.events.models import Event
from regulars.events.read import read_needed, timeline
from regulars.events.record import record

pytestmark = pytest.mark.django_db


def test_a_message_seen_before_adds_nothing():
    first = record(1, "Product Viewed", {"category": "jacket"}, message_id="m1")

    assert record(1, "Product Viewed", {"category": "boots"}, message_id="m1").pk == first.pk
    assert Event.objects.get().properties == {"category": "jacket"}


def test_a_timeline_is_newest_first_and_pages_by_time():
    now = clock.now()
    for days in range(4):
        record(1, f"day {days}", at=now - dt.timedelta(days=days))
    record(2, "of another profile")

    first_page = timeline(1, limit=2)
    second_page = timeline(1, limit=2, before=first_page[-1].at)

    assert [event.name for event in first_page + second_page] == ["day 0", "day 1", "day 2", "day 3"]


def test_a_condition_reads_only_the_events_it_names():
    record(1, "Product Viewed", {"name": "with \x00"})
    record(1, "Signed In")

    [[seen]] = read_needed([1], {"Product Viewed": NeededEvents(newest=9)}).values()

    assert seen.properties == {"name": "with �"}
