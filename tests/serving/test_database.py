"""Database connections per thread, and their lifetime."""

from __future__ import annotations

import pytest
from django.db.utils import ConnectionHandler

from regulars.settings.database import CONNECTION_SECONDS, database


@pytest.fixture
def connection(tmp_path, db):
    made = ConnectionHandler({"default": database(f"sqlite:///{tmp_path}/shop.sqlite3")})["default"]
    made.connect()
    yield made
    made.close()


def test_a_thread_keeps_its_connection_to_sqlite_from_one_request_to_the_next(connection):
    first = connection.connection
    connection.close_if_unusable_or_obsolete()

    assert connection.connection is first


def test_thread_opens_a_new_connection_after_a_minute(connection):
    connection.close_at -= CONNECTION_SECONDS
    connection.close_if_unusable_or_obsolete()

    assert connection.connection is None
