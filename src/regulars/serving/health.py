"""Readiness: the database answers and has every table."""

from __future__ import annotations

import json
from functools import cache
from http import HTTPStatus

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from regulars import __version__

HealthResponse = tuple[HTTPStatus, list[tuple[str, str]], bytes]


def check_readiness() -> HealthResponse:
    """Return 200 with `{"status": "ready", …}`, or 503 with what is missing as `status`."""
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


def _answer(status: HTTPStatus, status_word: str) -> HealthResponse:
    body = json.dumps({"status": status_word, "version": __version__}).encode()
    return status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")], body
