"""The tables of the lake, and how rows are written and removed.

`events` is append-only; a batch carries a number, and a batch that was committed is not committed twice. `views` has one row
per profile and purpose. A view that changed, and a profile that is removed, is a row of `changes`, of some hundred bytes,
and `query` reads the other two through it: the newest view wins, and of a removed profile nothing is returned that has a
number up to that of its removal. `upkeep` writes changes into the files of the other two later, many together.

One process writes at a time; any number read.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from django.conf import settings

from regulars.base.errors import Invalid

BATCHES = "regulars.events"  # the application transaction under which event batches are numbered
CHANGES = "regulars.changes"  # the one under which changes are numbered, in one sequence with the batches
FILE = 4 * 1024 * 1024  # bytes of a file: what a removal of one profile writes anew
# The log has the smallest and largest value of a column: not of columns with personal data. It and the names of superseded
# files are kept only for readers that are opening a table.
PROPERTIES = {
    "delta.dataSkippingStatsColumns": "profile_id",
    "delta.logRetentionDuration": "interval 1 minutes",
    "delta.deletedFileRetentionDuration": "interval 1 minutes",
    "delta.checkpointInterval": "50",
    "delta.targetFileSize": str(FILE),
}
# In the order in which readers open them. What is written into `views` or `events` leaves `changes` afterwards: a reader
# that opened `changes` last could find a change in neither.
TABLES = ("changes", "views", "events")
REMOVED = ""  # in place of a purpose, in `changes`
DAMAGED = "The lake is damaged. `regulars lake refill` writes it anew from the database."


@dataclass(frozen=True, slots=True)
class EventRow:
    """A row of `events`. Times are aware; dictionaries are JSON objects. `source`: the slug of its sender."""

    profile_id: int
    message_id: str
    type: str
    name: str
    at: dt.datetime
    terms: dict[str, Any]
    properties: dict[str, Any]
    source: str = ""
    received_at: dt.datetime | None = None
    context: dict[str, Any] = field(default_factory=dict)
    message: dict[str, Any] = field(default_factory=dict)
    marks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ViewRow:
    """What may be used of a profile for a purpose."""

    profile_id: int
    purpose: str
    terms: dict[str, Any]


def append_events(rows: Sequence[EventRow], batch: int) -> bool:
    """Commit one batch of events, once: False when this batch (or a later one) is already there."""
    delta, table = delta_library(), open_table("events")
    if table is not None and (table.transaction_version(BATCHES) or 0) >= batch:
        return False
    stamp = delta.CommitProperties(app_transactions=[delta.Transaction(BATCHES, batch)])
    ordered = sorted(rows, key=lambda row: (row.profile_id, row.at))
    delta.write_deltalake(
        address("events"),
        _events(ordered, batch),
        mode="append",
        schema_mode="merge",  # a lake of an earlier version has fewer columns
        partition_by=["month"],
        commit_properties=stamp,
        configuration=PROPERTIES if table is None else None,
    )
    return True


def next_batch() -> int:
    """Return a number above that of every committed batch and change: the microsecond, unless the clock was set back."""
    return _next_number(open_table("changes"))


def _next_number(changes: Any | None) -> int:
    events = open_table("events")
    batch = 0 if events is None else events.transaction_version(BATCHES) or 0
    change = 0 if changes is None else changes.transaction_version(CHANGES) or 0
    return max(time.time_ns() // 1000, batch + 1, change + 1)


def replace_views(rows: Sequence[ViewRow]) -> None:
    """Insert or replace the views of (profile, purpose)."""
    if rows:
        _change([(row.profile_id, row.purpose, json.dumps(row.terms)) for row in rows])


def remove_profiles(profile_ids: Iterable[int]) -> None:
    """Remove profiles from views and events (merge, erasure). `upkeep.purge` writes them out of the files."""
    if removed := sorted(set(profile_ids)):
        _change([(profile_id, REMOVED, None) for profile_id in removed])


def _change(rows: Sequence[tuple[int, str, str | None]]) -> None:
    """Append changes: profile, purpose and terms."""
    delta, arrow = delta_library(), arrow_library()
    table = open_table("changes")
    number = _next_number(table)
    ordered = sorted(rows, key=lambda row: row[:2])
    delta.write_deltalake(
        address("changes") if table is None else table,
        arrow.table(
            {
                "profile_id": arrow.array([profile_id for profile_id, _, _ in ordered], arrow.int64()),
                "purpose": arrow.array([purpose for _, purpose, _ in ordered], arrow.string()),
                "terms": arrow.array([terms for _, _, terms in ordered], arrow.string()),
                "batch": arrow.array([number] * len(ordered), arrow.int64()),
            }
        ),
        mode="append",
        commit_properties=delta.CommitProperties(app_transactions=[delta.Transaction(CHANGES, number)]),
        configuration=PROPERTIES if table is None else None,
    )


def clear() -> None:
    """Delete all tables, whatever state they are in. In a bucket, where nothing removes a folder, delete all rows.

    Raises `Invalid`: `lake_out_of_reach`.
    """
    for name in reversed(TABLES):
        with reading_lake():
            if is_folder():
                with suppress(FileNotFoundError):
                    shutil.rmtree(address(name))
            elif (table := open_table(name)) is not None:
                table.delete()
                table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)


def delete_events_before(at: dt.datetime) -> None:
    """Delete events before an instant (retention)."""
    table = open_table("events")
    if table is not None:
        table.delete(f"at < TIMESTAMP '{_utc(at):%Y-%m-%d %H:%M:%S.%f}'")


def check_tables() -> None:
    """Check that all tables open and that every file their logs name is there, whole.

    Raises `Invalid`: `lake_damaged`, `lake_out_of_reach`.
    """
    for name in TABLES:
        with reading_lake():
            table = open_table(name)
            if not is_folder():
                continue
            # A writer may have deleted files of the snapshot that was opened first: then there is a newer one.
            while not _is_whole(name, table):
                before, table = table, open_table(name)
                if table is None or before is None or table.version() == before.version():
                    raise Invalid("lake_damaged", DAMAGED)
    with reading_lake():
        refuse_lost_changes(open_table("changes"), open_table("views"))


def refuse_lost_changes(changes: Any | None, views: Any | None) -> None:
    """Refuse to read `views` when `changes` is gone: it would show what was withdrawn since.

    Raises `Invalid`: `lake_damaged`.
    """
    if changes is None and views is not None and is_numbered(views):
        raise Invalid("lake_damaged", DAMAGED)


def is_numbered(table: Any) -> bool:
    """Whether rows carry the number of their batch or change. Those of an earlier version do not."""
    return any(field.name == "batch" for field in table.schema().fields)


def _is_whole(name: str, table: Any | None) -> bool:
    folder = Path(address(name))
    if table is None:
        return not folder.parent.is_file() and not folder.is_file() and not any(folder.glob("**/*.parquet"))
    files = table.get_add_actions(flatten=True)
    sizes = zip(files["path"].to_pylist(), files["size_bytes"].to_pylist(), strict=True)
    return all((path := folder / unquote(file)).is_file() and path.stat().st_size == size for file, size in sizes)


@contextmanager
def reading_lake() -> Iterator[None]:
    """Name the faults of a lake that cannot be read. A wrong query stays what it is, an error of this program.

    Raises `Invalid`: `lake_damaged`, `lake_out_of_reach`.
    """
    try:
        yield
    except Exception as fault:
        # The libraries are slow to import: they are loaded by the first query, or here.
        engine, delta = import_module("duckdb"), delta_library()
        if isinstance(fault, OSError | engine.IOException) or (
            isinstance(fault, delta.exceptions.DeltaError) and not is_folder()
        ):
            raise Invalid("lake_out_of_reach", "The lake cannot be read at the moment. Try again soon.") from fault
        # DuckDB has no class for a file whose content makes no sense: its base class, or one of these.
        unreadable = (engine.InvalidInputException, engine.SerializationException, delta.exceptions.DeltaError)
        if isinstance(fault, unreadable) or type(fault) is engine.Error:
            raise Invalid("lake_damaged", DAMAGED) from fault
        raise


def open_table(name: str) -> Any | None:
    """Return the newest snapshot of a table, or None before the first write."""
    delta = delta_library()
    try:
        return delta.DeltaTable(address(name))
    except delta.exceptions.TableNotFoundError:
        return None


def is_folder() -> bool:
    """Whether the lake is a folder of this machine; else it is in a bucket."""
    return "://" not in str(settings.LAKE_URL)


def address(name: str) -> str:
    """Return where a table is: a folder, or a URL in a bucket."""
    return f"{str(settings.LAKE_URL).rstrip('/')}/{name}"


def _events(rows: Sequence[EventRow], batch: int) -> Any:
    arrow = arrow_library()
    return arrow.table(
        {
            "profile_id": arrow.array([row.profile_id for row in rows], arrow.int64()),
            "message_id": arrow.array([row.message_id for row in rows], arrow.string()),
            "type": arrow.array([row.type for row in rows], arrow.string()),
            "name": arrow.array([row.name for row in rows], arrow.string()),
            "at": arrow.array([_utc(row.at) for row in rows], arrow.timestamp("us")),
            "month": arrow.array([_utc(row.at).strftime("%Y-%m") for row in rows], arrow.string()),
            "terms": arrow.array([json.dumps(row.terms) for row in rows], arrow.string()),
            "properties": arrow.array([json.dumps(row.properties) for row in rows], arrow.string()),
            "source": arrow.array([row.source for row in rows], arrow.string()),
            "received_at": arrow.array([_utc(row.received_at or row.at) for row in rows], arrow.timestamp("us")),
            "context": arrow.array([json.dumps(row.context) for row in rows], arrow.string()),
            "message": arrow.array([json.dumps(row.message) for row in rows], arrow.string()),
            "marks": arrow.array([json.dumps(row.marks) for row in rows], arrow.string()),
            "batch": arrow.array([batch] * len(rows), arrow.int64()),
        }
    )


def _utc(at: dt.datetime) -> dt.datetime:
    """Return a naive time in UTC: DuckDB knows time zones only with an extension that is not in its wheel."""
    return at.astimezone(dt.UTC).replace(tzinfo=None)


# Heavy libraries are loaded on first use: most processes and every command line start never touch the lake.
@cache
def delta_library() -> ModuleType:
    import_module("deltalake.exceptions")
    return import_module("deltalake")


@cache
def arrow_library() -> ModuleType:
    return import_module("pyarrow")
