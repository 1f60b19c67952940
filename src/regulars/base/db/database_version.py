"""Which version wrote the database: a newer one may keep what this program would overlook, or write wrongly."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from regulars.base.errors import Conflict

NAMED = 3  # migrations in one sentence
Migration = tuple[str, str]  # app, name


@cache
def known_migrations() -> frozenset[Migration]:
    """Return the migrations of this program and its libraries."""
    return frozenset(MigrationLoader(None).disk_migrations)


def newer_migrations(applied: Iterable[Migration]) -> str:
    """Name the applied migrations that this program does not have. Empty when it has all of them."""
    unknown = sorted(set(applied) - known_migrations())
    more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
    return ", ".join(f"{app}.{name}" for app, name in unknown[:NAMED]) + more


def refuse_newer_database() -> None:
    """Raises `Conflict("database_is_newer")`. A database that does not answer is for the caller's next query to name."""
    try:
        applied = list(MigrationRecorder(connection).applied_migrations())
    except DatabaseError:
        return
    if newer := newer_migrations(applied):
        raise Conflict(
            "database_is_newer",
            f"The database was written by a newer version than this program, which has no {newer}. Start that version, or "
            "restore a backup of this one.",
        )
