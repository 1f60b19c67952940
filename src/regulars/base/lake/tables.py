"""The two tables of the lake, and how rows are written and deleted.

`events` is append-only; a batch carries a number, and a batch that was committed is not committed twice. `views` is one row
per profile and purpose, replaced when it changes.
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
# The log keeps the smallest and largest value of a column for a month: not of columns with personal data.
_QUIET_LOG = {"delta.dataSkippingStatsColumns": "profile_id"}
TABLES = ("events", "views")
DAMAGED = "The lake is damaged. `regulars lake refill` writes it anew from the database."
RETENTION_HOURS = 24  # how long a reader may use an old snapshot


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
    profile_id: int
    purpose: str
    terms: dict[str, Any]


def append_events(rows: Sequence[EventRow], batch: int) -> bool:
    """Commit one batch of events, once: False when this batch (or a later one) is already there."""
    delta, table = _delta(), open_table("events")
    if table is not None and (table.transaction_version(BATCHES) or 0) >= batch:
        return False
    stamp = delta.CommitProperties(app_transactions=[delta.Transaction(BATCHES, batch)])
    ordered = sorted(rows, key=lambda row: (row.profile_id, row.at))
    delta.write_deltalake(
        _address("events"),
        _events(ordered),
        mode="append",
        schema_mode="merge",  # a lake of an earlier version has fewer columns
        partition_by=["month"],
        commit_properties=stamp,
        configuration=_QUIET_LOG if table is None else None,
    )
    return True


def next_batch() -> int:
    """Return a number above that of every committed batch: the microsecond, unless the clock was set back."""
    table = open_table("events")
    committed = 0 if table is None else table.transaction_version(BATCHES) or 0
    return max(time.time_ns() // 1000, committed + 1)


def replace_views(rows: Sequence[ViewRow]) -> None:
    """Insert or replace the views of (profile, purpose)."""
    if not rows:
        return
    delta, table = _delta(), open_table("views")
    if table is None:
        delta.write_deltalake(_address("views"), _views(rows), mode="append", configuration=_QUIET_LOG)
        return
    same = "held.profile_id = new.profile_id AND held.purpose = new.purpose"
    merge = table.merge(_views(rows), predicate=same, source_alias="new", target_alias="held")
    merge.when_matched_update_all().when_not_matched_insert_all().execute()


def delete_profiles(profile_ids: Iterable[int]) -> None:
    """Delete profiles from both tables (merge, erasure). The next `compact` deletes old files."""
    listed = ", ".join(str(int(profile_id)) for profile_id in profile_ids)
    for name in TABLES:
        table = open_table(name)
        if table is not None and listed:
            table.delete(f"profile_id IN ({listed})")


def clear() -> None:
    """Delete both tables, whatever state they are in. In a bucket, where nothing removes a folder, delete all rows.

    Raises `Invalid`: `lake_out_of_reach`.
    """
    for name in TABLES:
        with reading_lake():
            if "://" not in _address(name):
                with suppress(FileNotFoundError):
                    shutil.rmtree(_address(name))
            elif (table := open_table(name)) is not None:
                table.delete()
                table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)


def delete_events_before(at: dt.datetime) -> None:
    """Delete events before an instant (retention)."""
    table = open_table("events")
    if table is not None:
        table.delete(f"at < TIMESTAMP '{_utc(at):%Y-%m-%d %H:%M:%S.%f}'")


def purge() -> None:
    """Delete every file that the newest snapshot does not need, so that nothing of deleted profiles remains.

    A reader of an older snapshot gets an error and has to query again.
    """
    for name in TABLES:
        table = open_table(name)
        if table is not None:
            table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)


def compact() -> None:
    """Join small files and delete files that no reader can still need."""
    for name in TABLES:
        table = open_table(name)
        if table is not None:
            table.optimize.compact()
            table.vacuum(retention_hours=RETENTION_HOURS, dry_run=False, enforce_retention_duration=False)


def check_tables() -> None:
    """Check that both tables open and that every file their logs name is there, whole.

    Raises `Invalid`: `lake_damaged`, `lake_out_of_reach`.
    """
    for name in TABLES:
        with reading_lake():
            table = open_table(name)
            if "://" in _address(name):
                continue
            # A writer may have deleted files of the snapshot that was opened first: then there is a newer one.
            while not _is_whole(name, table):
                before, table = table, open_table(name)
                if table is None or before is None or table.version() == before.version():
                    raise Invalid("lake_damaged", DAMAGED)


def _is_whole(name: str, table: Any | None) -> bool:
    folder = Path(_address(name))
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
        engine, delta = import_module("duckdb"), _delta()
        if isinstance(fault, OSError | engine.IOException) or (
            isinstance(fault, delta.exceptions.DeltaError) and "://" in str(settings.LAKE_URL)
        ):
            raise Invalid("lake_out_of_reach", "The lake cannot be read at the moment. Try again soon.") from fault
        # DuckDB has no class for a file whose content makes no sense: its base class, or one of these.
        unreadable = (engine.InvalidInputException, engine.SerializationException, delta.exceptions.DeltaError)
        if isinstance(fault, unreadable) or type(fault) is engine.Error:
            raise Invalid("lake_damaged", DAMAGED) from fault
        raise


def open_table(name: str) -> Any | None:
    """Return the newest snapshot of a table, or None before the first write."""
    delta = _delta()
    try:
        return delta.DeltaTable(_address(name))
    except delta.exceptions.TableNotFoundError:
        return None


def _address(name: str) -> str:
    return f"{str(settings.LAKE_URL).rstrip('/')}/{name}"


def _events(rows: Sequence[EventRow]) -> Any:
    arrow = _arrow()
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
        }
    )


def _views(rows: Sequence[ViewRow]) -> Any:
    arrow = _arrow()
    return arrow.table(
        {
            "profile_id": arrow.array([row.profile_id for row in rows], arrow.int64()),
            "purpose": arrow.array([row.purpose for row in rows], arrow.string()),
            "terms": arrow.array([json.dumps(row.terms) for row in rows], arrow.string()),
        }
    )


def _utc(at: dt.datetime) -> dt.datetime:
    """Return a naive time in UTC: DuckDB knows time zones only with an extension that is not in its wheel."""
    return at.astimezone(dt.UTC).replace(tzinfo=None)


# Heavy libraries are loaded on first use: most processes and every command line start never touch the lake.
@cache
def _delta() -> ModuleType:
    import_module("deltalake.exceptions")
    return import_module("deltalake")


@cache
def _arrow() -> ModuleType:
    return import_module("pyarrow")
