"""Query the lake: SQL over one snapshot of its tables, answered by DuckDB in this process."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any

from sqlglot import exp

from .tables import open_table, reading_lake

DIALECT = "duckdb"  # of fragments that callers parse for `query`

# A table that was never written to is empty, not missing.
_EMPTY = {
    "events": (
        "SELECT NULL::BIGINT profile_id, NULL::VARCHAR message_id, NULL::VARCHAR type, NULL::VARCHAR name,"
        ' NULL::TIMESTAMP "at", NULL::VARCHAR terms, NULL::VARCHAR properties, NULL::VARCHAR source,'
        " NULL::TIMESTAMP received_at, NULL::VARCHAR context, NULL::VARCHAR message, NULL::VARCHAR marks WHERE FALSE"
    ),
    "views": "SELECT NULL::BIGINT profile_id, NULL::VARCHAR purpose, NULL::VARCHAR terms WHERE FALSE",
}
_lock = threading.Lock()
_engine: Any = None


def query(statement: exp.Query | str) -> list[tuple[Any, ...]]:
    """Return the rows of a query over `events` and `views` as they are now.

    A tree is printed in the engine's dialect, which quotes every value; text is run as it is.

    Raises `Invalid`: `lake_damaged`, `lake_out_of_reach`.
    """
    sql = statement if isinstance(statement, str) else statement.sql(DIALECT)
    with reading_lake(), _cursor() as cursor:
        for name, source in _EMPTY.items():
            table = open_table(name)
            if table is not None and (files := table.file_uris()):
                listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
                # By name, and with the columns of an empty table: files of an earlier version have fewer.
                files_as_table = f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"
                source = f"SELECT * FROM {files_as_table} UNION ALL BY NAME ({source})"  # noqa: S608 - our own file names
            cursor.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {source}")
        rows: list[tuple[Any, ...]] = cursor.execute(sql).fetchall()
        return rows


def _cursor() -> Any:
    """Open one connection per query: temporary views of two queries must not mix."""
    global _engine
    with _lock:
        if _engine is None:
            limits = {"memory_limit": "512MB", "threads": 2}
            _engine = import_module("duckdb").connect(":memory:", config=limits)
        return _engine.cursor()
