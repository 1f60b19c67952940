"""SQLite's write-ahead log grows beside a long reader, is small again after it, and doctor names a reader that does not end."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from django.db import connection, connections

from regulars.base.db import write_ahead_log
from regulars.base.db.sqlite.base import DatabaseWrapper
from regulars.base.db.write_ahead_log import log_bytes, log_file, shorten_log
from regulars.base.jobs.schedule import SCHEDULE
from regulars.interfaces.worker import work  # noqa: F401 - its tasks register themselves
from regulars.operations.doctor import CHECKS
from regulars.settings.database import sqlite

pytestmark = pytest.mark.django_db
SMALL = 200_000  # bytes, in place of 64 MiB


@pytest.fixture
def database(tmp_path, monkeypatch):
    """A database of its own in place of the tests', which is in memory or on PostgreSQL."""
    monkeypatch.setattr(write_ahead_log, "LIMIT", SMALL)
    monkeypatch.setattr(write_ahead_log, "TOO_LARGE", 3 * SMALL)
    entry = sqlite(tmp_path / "log.sqlite3")
    entry["OPTIONS"]["init_command"] = entry["OPTIONS"]["init_command"].replace(str(64 * 2**20), str(SMALL))
    own = DatabaseWrapper({**connections.settings["default"], **entry}, "default")
    monkeypatch.setattr(write_ahead_log, "connection", own)
    with own.cursor() as cursor:
        cursor.execute("PRAGMA wal_autocheckpoint=50")  # in place of a thousand pages, as the limit is smaller too
        cursor.execute("CREATE TABLE notes (text)")
    yield own
    own.close()


def writes(own, times: int = 60) -> None:
    for _ in range(times):
        with own.cursor() as cursor:
            cursor.execute("INSERT INTO notes VALUES (hex(randomblob(10000)))")


def reader(own) -> sqlite3.Connection:
    """Return a connection that reads the state of now, and does not end."""
    found = sqlite3.connect(own.settings_dict["NAME"], isolation_level=None)
    found.execute("BEGIN")
    found.execute("SELECT count(*) FROM notes").fetchone()
    return found


@pytest.mark.any_database
def test_log_beside_a_long_reader_is_small_again_after_it(database):
    with closing(reader(database)):
        writes(database)
        grown = log_bytes()
        assert grown > 3 * SMALL
        assert not shorten_log()  # in about a second, and the writers go on
        writes(database, 1)
        assert CHECKS["log"]().code == "log_too_large"

    assert shorten_log()
    assert log_bytes() == 0
    assert CHECKS["log"]().code == ""
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM notes")
        assert cursor.fetchone()[0] == 61
        cursor.execute("PRAGMA busy_timeout")
        assert cursor.fetchone()[0] == write_ahead_log.USUAL


@pytest.mark.any_database
def test_ordinary_writes_after_a_long_reader_leave_a_log_within_its_limit(database):
    with closing(reader(database)):
        writes(database)
    assert log_bytes() > 3 * SMALL

    writes(database, 3)

    assert log_bytes() <= SMALL


def test_worker_looks_after_the_log():
    assert SCHEDULE["database.shorten_log"][1] is shorten_log
    if connection.vendor == "postgresql":
        assert log_file() is None
        assert shorten_log()
        assert CHECKS["log"]() is None
