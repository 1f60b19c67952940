"""The lake stores each batch once, returns rows unchanged, and does not block readers."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from regulars.base.lake import tables
from regulars.base.lake.query import query
from regulars.base.lake.tables import EventRow, ViewRow, append_events, remove_profiles, replace_views
from regulars.base.lake.upkeep import tidy

pytestmark = pytest.mark.usefixtures("lake")
AT = dt.datetime(2026, 11, 24, 10, tzinfo=dt.UTC)


def viewed(profile_id, message_id, at=AT):
    return EventRow(
        profile_id, message_id, "track", "Product Viewed", at, {"category": ["s:jacket"]}, {"category": "jacket"}
    )


def test_lake_without_writes_is_empty():
    assert query("SELECT count(*) FROM events") == [(0,)]
    assert query("SELECT count(*) FROM views") == [(0,)]


def test_events_come_out_as_they_went_in():
    append_events([viewed(1, "m1"), viewed(2, "m2", AT - dt.timedelta(days=40))], batch=1)

    rows = query('SELECT profile_id, message_id, "at" FROM events ORDER BY message_id')

    assert [(row[0], row[1]) for row in rows] == [(1, "m1"), (2, "m2")]
    assert rows[0][2] == AT.replace(tzinfo=None)


def test_a_batch_is_committed_once():
    assert append_events([viewed(1, "m1")], batch=7)
    assert not append_events([viewed(1, "m1")], batch=7)

    assert query("SELECT count(*) FROM events") == [(1,)]


def test_lake_of_an_earlier_version_is_read_and_continued(monkeypatch):
    written = tables._events
    columns = ["profile_id", "message_id", "type", "name", "at", "month", "terms", "properties"]
    monkeypatch.setattr(tables, "_events", lambda rows, batch: written(rows, batch).select(columns))
    append_events([viewed(1, "m1")], batch=1)
    monkeypatch.undo()
    assert query("SELECT message_id, message FROM events") == [("m1", None)]

    append_events([replace(viewed(1, "m2"), message={"userId": "u"}, source="shop")], batch=2)
    tidy()

    rows = query("SELECT message_id, source, message FROM events ORDER BY message_id")
    assert rows == [("m1", None, None), ("m2", "shop", '{"userId": "u"}')]


def test_a_view_is_replaced_and_others_stay():
    replace_views([ViewRow(1, "serve", {"city": ["s:Porto"]}), ViewRow(1, "message", {}), ViewRow(2, "serve", {})])
    replace_views([ViewRow(1, "serve", {"city": ["s:Braga"]})])

    rows = query("SELECT profile_id, purpose, terms FROM views ORDER BY profile_id, purpose")

    assert rows == [(1, "message", "{}"), (1, "serve", '{"city": ["s:Braga"]}'), (2, "serve", "{}")]


def test_deleted_profile_is_removed_from_both_tables():
    append_events([viewed(1, "m1"), viewed(2, "m2")], batch=1)
    replace_views([ViewRow(1, "serve", {}), ViewRow(2, "serve", {})])

    remove_profiles([1])

    assert query("SELECT profile_id FROM events") == [(2,)]
    assert query("SELECT profile_id FROM views") == [(2,)]


def test_maintenance_changes_no_query_result():
    for batch in range(1, 6):
        append_events([viewed(1, f"m{batch}")], batch=batch)

    tidy()

    assert query("SELECT count(*) FROM events") == [(5,)]


def test_readers_read_while_a_writer_writes():
    append_events([viewed(1, "m0")], batch=1)

    def read(_):
        return query("SELECT count(*) FROM events")[0][0]

    with ThreadPoolExecutor(4) as pool:
        seen = pool.map(read, range(12))
        for batch in range(2, 6):
            append_events([viewed(1, f"m{batch}")], batch=batch)
        assert all(1 <= count <= 5 for count in seen)
    assert read(None) == 5
