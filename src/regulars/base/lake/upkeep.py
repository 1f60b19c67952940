"""Keep the lake small: write gathered changes into the files that they change, and remove superseded files.

Every step is one commit and changes no answer of `query`. A process that dies between two steps, or within one, leaves the
last version, and the next run does the rest. For the one process that writes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .query import open_snapshot
from .tables import (
    FILE,
    PROPERTIES,
    REMOVED,
    TABLES,
    address,
    arrow_library,
    delta_library,
    is_folder,
    is_numbered,
    open_table,
    reading_lake,
)

SMALL_FILES = 32  # of `changes`: so many are joined
SMALL = 64 * 1024  # bytes of a file of `changes` that is joined with others
SHARE = 8  # `changes` may have an eighth of the bytes of `views`, or `LEAST`
LEAST = 256 * 1024
DEAD = 1024 * 1024  # bytes that a lake may have beside twice its live ones
LONGEST = 24 * 3600 * 1_000_000  # microseconds that a value which was replaced may stay in a file of `views`
PORTION = 200_000  # rows of `views` that are sorted at once


@dataclass(frozen=True)
class LakeSize:
    """Bytes of the files that the newest version needs, and of all others: superseded files, logs, drafts of a killed process."""

    live: int
    dead: int


def lake_size() -> LakeSize | None:
    """Return the size of the lake; None in a bucket, which is not listed.

    Raises `Invalid`: `lake_damaged`, `lake_out_of_reach`.
    """
    if not is_folder():
        return None
    with reading_lake():
        live = sum(_bytes(name) for name in TABLES)
        found = sum(size for name in TABLES for _, size in _files(name))
        return LakeSize(live, max(found - live, 0))


def gather() -> None:
    """Join small files of changes, write changes into `views` when they are many, and bound what is dead.

    Costs little when there is little to do: for the end of every fill.
    """
    changes = open_table("changes")
    if changes is None:
        return
    views, sizes = open_table("views"), _sizes(changes)
    most = max(LEAST, sum(_sizes(views)) // SHARE)
    file = max(SMALL, most // SMALL_FILES)
    if views is None or sum(sizes) > most:
        _bound()
        fold()
    elif sum(size < file for size in sizes) > SMALL_FILES:
        changes.optimize.compact(target_size=file)
    else:
        return
    _bound()


def tidy() -> None:
    """Do what is due by time: removed profiles leave the files, old changes are written into `views`, dead files go."""
    for name in TABLES:
        if (table := open_table(name)) is not None:
            held = table.metadata().configuration
            if missing := {key: value for key, value in PROPERTIES.items() if held.get(key) != value}:
                table.alter.set_table_properties(missing)
    _write_out_removed()
    oldest = f"SELECT MIN(batch) FROM changes WHERE purpose <> '{REMOVED}'"  # noqa: S608 - our own constant
    with open_snapshot() as cursor:
        [(since,)] = cursor.execute(oldest).fetchall()
    if since is not None and since < time.time_ns() // 1000 - LONGEST:
        fold()
    if (events := open_table("events")) is not None:
        events.optimize.compact(target_size=FILE)
    for name in TABLES:
        if not is_folder() or _has_dead_files(name):
            _remove_superseded(name)


def purge() -> None:
    """Write removed profiles out of the files and delete every file that the newest version does not need.

    A reader of an older version gets an error and has to query again, as `query` does.
    """
    _write_out_removed()
    for name in TABLES:
        _remove_superseded(name)


def fold() -> None:
    """Write `views` anew, sorted by profile, with the changes in it, and take these out of `changes`."""
    with open_snapshot() as cursor:
        types = {"profile_id": "int64", "purpose": "string", "terms": "string", "batch": "int64"}
        schema = arrow_library().schema([(name, getattr(arrow_library(), type_)()) for name, type_ in types.items()])
        delta_library().write_deltalake(
            address("views"),
            arrow_library().RecordBatchReader.from_batches(schema, _sorted_views(cursor, schema)),
            mode="overwrite",
            schema_mode="overwrite",
            target_file_size=FILE,
            configuration=PROPERTIES if open_table("views") is None else None,
        )
    if (changes := open_table("changes")) is not None:
        changes.delete(f"purpose <> '{REMOVED}'")


def _sorted_views(cursor: Any, schema: Any) -> Iterator[Any]:
    """Yield the rows of `views` in portions of profiles, so that none of them is sorted on the disk."""
    [(rows, first, last)] = cursor.execute("SELECT COUNT(*), MIN(profile_id), MAX(profile_id) FROM views").fetchall()
    if not rows:
        return
    width = -(-(last - first + 1) // -(-rows // PORTION))
    for start in range(first, last + 1, width):
        portion = (
            "SELECT profile_id, purpose, terms, batch FROM views WHERE profile_id >= ? AND profile_id < ?"
            " ORDER BY profile_id, purpose"
        )
        found = cursor.sql(portion, params=[start, start + width]).to_arrow_table()
        yield from found.cast(schema).to_batches()


def _write_out_removed() -> None:
    """Delete the rows of removed profiles from all tables, and at last the removals."""
    with open_snapshot() as cursor:
        removed = cursor.sql("SELECT profile_id, batch FROM lake_removed ORDER BY profile_id").to_arrow_table()
    if not removed.num_rows:
        return
    for name in ("events", "views", "changes"):
        if (table := open_table(name)) is not None:
            older = " AND COALESCE(held.batch, 0) <= gone.batch" if is_numbered(table) else ""
            merge = table.merge(
                removed,
                predicate=f"held.profile_id = gone.profile_id{older}",
                source_alias="gone",
                target_alias="held",
            )
            merge.when_matched_delete().execute()


def _bound() -> None:
    """Remove superseded files when there are more bytes of them than of live ones."""
    size = lake_size()
    if size is not None and size.dead > size.live + DEAD:
        for name in TABLES:
            _remove_superseded(name)


def _remove_superseded(name: str) -> None:
    table = open_table(name)
    if table is None:
        return
    # Of a killed process there are files that no version names, and drafts, which the library does not list.
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True)
    if is_folder():
        for path, _ in _files(name):
            if "#" in path.name:
                path.unlink(missing_ok=True)


def _has_dead_files(name: str) -> bool:
    """Whether a table in a folder has other files than its newest version and the log of its last versions."""
    data = sum(size for path, size in _files(name) if "_delta_log" not in path.parts or "#" in path.name)
    return data > _bytes(name)


def _bytes(name: str) -> int:
    """Return the bytes of the files of a table's newest version."""
    return sum(_sizes(open_table(name)))


def _sizes(table: Any | None) -> list[int]:
    return [] if table is None else table.get_add_actions(flatten=True)["size_bytes"].to_pylist()


def _files(name: str) -> Iterator[tuple[Path, int]]:
    """Yield every file in a table's folder with its size. Others may remove some meanwhile."""
    for folder, _, names in os.walk(address(name)):
        for each in names:
            path = Path(folder) / each
            try:
                yield path, path.stat().st_size
            except FileNotFoundError:
                continue
