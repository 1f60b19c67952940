"""Query the lake: SQL over one snapshot of its tables, answered by DuckDB in this process.

A view that was replaced, or a row of a removed profile, is not returned from the moment its change is written, whether or not
the file that has it was written anew.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from sqlglot import exp

from regulars.base.errors import Invalid

from .tables import REMOVED, TABLES, open_table, reading_lake, refuse_lost_changes

DIALECT = "duckdb"  # of fragments that callers parse for `query`
ATTEMPTS = 3

# A table that was never written to is empty, not missing.
_EMPTY = {
    "events": (
        "SELECT NULL::BIGINT profile_id, NULL::VARCHAR message_id, NULL::VARCHAR type, NULL::VARCHAR name,"
        ' NULL::TIMESTAMP "at", NULL::VARCHAR terms, NULL::VARCHAR properties, NULL::VARCHAR source,'
        " NULL::TIMESTAMP received_at, NULL::VARCHAR context, NULL::VARCHAR message, NULL::VARCHAR marks,"
        " NULL::BIGINT batch WHERE FALSE"
    ),
    "views": "SELECT NULL::BIGINT profile_id, NULL::VARCHAR purpose, NULL::VARCHAR terms, NULL::BIGINT batch WHERE FALSE",
}
_EMPTY["changes"] = _EMPTY["views"]
# What `changes` says of the other two. Few rows, read once for a query that may name a table several times. Rows of an
# earlier version have no number, and are older than every change.
_REMOVED = f"SELECT profile_id, MAX(batch) AS batch FROM changes WHERE purpose = '{REMOVED}' GROUP BY profile_id"  # noqa: S608 - our own constant
_CHANGED = f"""
SELECT c.profile_id, c.purpose, ARG_MAX(c.terms, c.batch) AS terms, MAX(c.batch) AS batch
FROM changes AS c LEFT JOIN lake_removed AS r ON r.profile_id = c.profile_id
WHERE c.purpose <> '{REMOVED}' AND c.batch > COALESCE(r.batch, -1)
GROUP BY c.profile_id, c.purpose
"""  # noqa: S608 - our own constant
_NOT_REMOVED = """
SELECT h.* FROM ({source}) AS h LEFT JOIN lake_removed AS r ON r.profile_id = h.profile_id
WHERE r.batch IS NULL OR h.batch > r.batch
"""
_NEWEST = """
SELECT h.* FROM ({source}) AS h ANTI JOIN lake_changed AS c ON c.profile_id = h.profile_id AND c.purpose = h.purpose
UNION ALL BY NAME SELECT * FROM lake_changed
"""
_lock = threading.Lock()
_engine: Any = None


def query(statement: exp.Query | str) -> list[tuple[Any, ...]]:
    """Return the rows of a query over `events` and `views` as they are now.

    A tree is printed in the engine's dialect, which quotes every value; text is run as it is.

    Raises `Invalid`: `lake_damaged`, `lake_out_of_reach`.
    """
    sql = statement if isinstance(statement, str) else statement.sql(DIALECT)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with reading_lake(), open_snapshot() as cursor:
                rows: list[tuple[Any, ...]] = cursor.execute(sql).fetchall()
                return rows
        except Invalid:
            # The writer removes files that its newest version does not need, perhaps one that was about to be read.
            if attempt == ATTEMPTS:
                raise
    raise AssertionError


@contextmanager
def open_snapshot() -> Iterator[Any]:
    """Open one connection whose views `changes`, `views` and `events` are the tables of the lake as they are now.

    `lake_removed` and `lake_changed` are what `changes` says of the other two.
    """
    with _cursor() as cursor:
        tables = {name: open_table(name) for name in TABLES}
        refuse_lost_changes(tables["changes"], tables["views"])
        cursor.execute(f"CREATE TEMP VIEW changes AS {_source('changes', tables['changes'])}")
        cursor.execute(f"CREATE TEMP TABLE lake_removed AS {_REMOVED}")
        cursor.execute(f"CREATE TEMP TABLE lake_changed AS {_CHANGED}")
        counts = "SELECT (SELECT COUNT(*) FROM lake_removed), (SELECT COUNT(*) FROM lake_changed)"
        [(removed, changed)] = cursor.execute(counts).fetchall()
        for name in ("views", "events"):
            source = _source(name, tables[name])
            if removed:
                source = _NOT_REMOVED.format(source=source)
            if changed and name == "views":
                source = _NEWEST.format(source=source)
            cursor.execute(f"CREATE TEMP VIEW {name} AS {source}")
        yield cursor


def _source(name: str, table: Any | None) -> str:
    """Return a query of the rows in the files of a table."""
    if table is None or not (files := table.file_uris()):
        return _EMPTY[name]
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    # By name, and with the columns of an empty table: files of an earlier version have fewer.
    files_as_table = f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"
    return f"SELECT * FROM {files_as_table} UNION ALL BY NAME ({_EMPTY[name]})"  # noqa: S608 - our own file names


def _cursor() -> Any:
    """Open one connection per query: temporary views of two queries must not mix."""
    global _engine
    with _lock:
        if _engine is None:
            limits = {"memory_limit": "512MB", "threads": 2}
            _engine = import_module("duckdb").connect(":memory:", config=limits)
        return _engine.cursor()
