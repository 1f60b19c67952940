"""Triggers that make a new version of the configuration in the transaction of each change.

The database does it, because a signal of Django misses `QuerySet.update`, bulk writes and plain SQL. They are made after
every `migrate`: SQLite drops a table's triggers when Django makes the table anew to change a column.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.db import connections, models

from .models import ConfigurationVersion, versioned_models

NAME = "new_configuration_version"
VERSIONS = 2**53
EVENTS = ("INSERT", "UPDATE", "DELETE")


def create_triggers(using: str, **_: Any) -> None:
    """Create the triggers that are missing, and the first version. Receives Django's signal `post_migrate`."""
    database = connections[using]
    table = database.ops.quote_name(ConfigurationVersion._meta.db_table)
    with database.cursor() as cursor:
        existing = set(database.introspection.table_names(cursor))
        if ConfigurationVersion._meta.db_table not in existing:
            return
        statements = _postgresql(table) if database.vendor == "postgresql" else []
        for model in versioned_models:
            if model._meta.db_table in existing:
                statements += _TRIGGERS[database.vendor](model, table, database.ops.quote_name)
        # The first version: an upgraded installation may go on for weeks before anything changes, and nothing would be cached.
        statements.append(
            f"INSERT INTO {table} (id, number) VALUES (1, {secrets.randbelow(VERSIONS)}) ON CONFLICT (id) DO NOTHING"  # noqa: S608
        )
        for statement in statements:
            cursor.execute(statement)


def _postgresql(table: str) -> list[str]:
    return [
        f"""
        CREATE OR REPLACE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO {table} (id, number) VALUES (1, trunc(random() * {VERSIONS}))
            ON CONFLICT (id) DO UPDATE SET number = EXCLUDED.number;
            RETURN NULL;
        END $$
        """  # noqa: S608 - names of our own
    ]


def _on_postgresql(model: type[models.Model], table: str, quote: Any) -> list[str]:
    """One trigger before each statement: two writers then meet at the version first, and cannot wait for each other."""
    changed = quote(model._meta.db_table)
    return [
        f"""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = '{NAME}' AND tgrelid = '{changed}'::regclass) THEN
                CREATE TRIGGER {NAME} BEFORE {" OR ".join(EVENTS)} ON {changed}
                FOR EACH STATEMENT EXECUTE FUNCTION {NAME}();
            END IF;
        END $$
        """
    ]


def _on_sqlite(model: type[models.Model], table: str, quote: Any) -> list[str]:
    """A trigger for each row and event. DELETE and INSERT: the conflict rule of the outer statement holds here too."""
    return [
        f"""
        CREATE TRIGGER IF NOT EXISTS {quote(f"{NAME}_{model._meta.db_table}_{event.lower()}")}
        AFTER {event} ON {quote(model._meta.db_table)}
        BEGIN
            DELETE FROM {table};
            INSERT INTO {table} (id, number) VALUES (1, random() & {VERSIONS - 1});
        END
        """  # noqa: S608 - names of our own
        for event in EVENTS
    ]


_TRIGGERS = {"postgresql": _on_postgresql, "sqlite": _on_sqlite}
