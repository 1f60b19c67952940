"""Whether this process can serve: its database answers and has every table."""

from __future__ import annotations

import json
from functools import cache
from http import HTTPStatus

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from regulars import __version__

Answer = tuple[HTTPStatus, list[tuple[str, str]], bytes]


def is_ready() -> Answer:
    """200 with `{"status": "ready", …}`, or 503 that says what is missing."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        missing = _migrations_missing()
    except DatabaseError:
        return _answer(HTTPStatus.SERVICE_UNAVAILABLE, "database_unreachable")
    if missing:
        _migrations_missing.cache_clear()
        return _answer(HTTPStatus.SERVICE_UNAVAILABLE, "not_set_up")
    return _answer(HTTPStatus.OK, "ready")


@cache
def _migrations_missing() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _answer(status: HTTPStatus, word: str) -> Answer:
    body = json.dumps({"status": word, "version": __version__}).encode()
    return status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")], body
