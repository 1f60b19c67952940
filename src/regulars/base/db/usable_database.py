"""Whether this program may use the database: no restore into it is unfinished, and no newer version wrote it.

A restore leaves a marker in the database too: its home folder says it to no other machine, and stays behind when the
database is copied.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from functools import cache

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from regulars.base.errors import Conflict

NAMED = 3  # migrations in one sentence
UNFINISHED_TABLE = "regulars_restore_unfinished"  # no model's: it is there during a restore only
MARK = f"CREATE TABLE IF NOT EXISTS {UNFINISHED_TABLE} (at integer)"
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


def refuse_unusable_database() -> None:
    """Raises `Conflict`: `restore_unfinished`, `database_is_newer`. Without an answer the caller's next query names the fault."""
    with contextlib.suppress(DatabaseError):
        refuse_half_restored_database()
        refuse_newer_database()


def refuse_half_restored_database() -> None:
    """Raises `Conflict("restore_unfinished")`: customers who were erased since the backup may be in this database."""
    if is_half_restored():
        raise Conflict(
            "restore_unfinished",
            "A restore into this database is under way, or was stopped before its end. Run `regulars restore` again.",
        )


def is_half_restored() -> bool:
    return UNFINISHED_TABLE in connection.introspection.table_names()


def mark_half_restored() -> None:
    with connection.cursor() as cursor:
        cursor.execute(MARK)


def mark_whole() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {UNFINISHED_TABLE}")


def refuse_newer_database() -> None:
    """Raises `Conflict("database_is_newer")`."""
    applied = list(MigrationRecorder(connection).applied_migrations())
    if newer := newer_migrations(applied):
        raise Conflict(
            "database_is_newer",
            f"The database was written by a newer version than this program, which has no {newer}. Start that version, or "
            "restore a backup of this one.",
        )
