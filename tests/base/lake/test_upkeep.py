"""The lake writes what changed and little more, keeps few dead files, and shows no old value, whatever dies on the way."""

from __future__ import annotations

import datetime as dt
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from regulars.base.errors import Invalid
from regulars.base.lake import upkeep
from regulars.base.lake.query import query
from regulars.base.lake.tables import (
    EventRow,
    ViewRow,
    append_events,
    check_tables,
    next_batch,
    open_table,
    remove_profiles,
    replace_views,
)
from regulars.base.lake.upkeep import fold, gather, lake_size, purge, tidy

pytestmark = pytest.mark.usefixtures("lake")
AT = dt.datetime(2026, 11, 24, 10, tzinfo=dt.UTC)
MARK = "zq7719marker"


@pytest.fixture
def folder(lake, settings) -> Path:
    return Path(settings.LAKE_URL)


def viewed(profile_id: int, message_id: str) -> EventRow:
    return EventRow(profile_id, message_id, "track", "Product Viewed", AT, {}, {})


def some_views(profiles: int) -> list[ViewRow]:
    rng = random.Random(1)
    return [
        ViewRow(profile, purpose, {"city": [f"s:City {rng.random()}"]})
        for profile in range(1, profiles + 1)
        for purpose in ("serve", "measure")
    ]


def views_of(profile: int) -> list[tuple[str, str]]:
    return query(f"SELECT purpose, terms FROM views WHERE profile_id = {profile} ORDER BY purpose")


def in_files(folder: Path, profile: int) -> int:
    """Count the rows of a profile in all files, those of older versions too."""
    paths = [str(path) for path in folder.rglob("part-*.parquet")]
    listed = ", ".join(f"'{path}'" for path in paths)
    [(rows,)] = duckdb.execute(
        f"SELECT COUNT(*) FROM read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"
        f" WHERE profile_id = {profile}"
    ).fetchall()
    return rows


def test_bytes_written_are_those_of_what_changed(folder, monkeypatch):
    """One changed customer of four thousand wrote all their views anew, 400 kB, and every copy was kept for a day."""
    monkeypatch.setattr(upkeep, "DEAD", 0)
    monkeypatch.setattr(upkeep, "SMALL_FILES", 8)
    replace_views(some_views(4000))
    gather()
    live = lake_size().live
    seen = set(folder.rglob("*"))
    written = most = 0
    for number in range(1, 61):
        replace_views([ViewRow(number * 50, "serve", {"city": [f"s:Braga {number}"]})])
        gather()
        found = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
        written += sum(size for path, size in found.items() if path not in seen)
        seen, most = set(found), max(most, sum(found.values()))

    assert live > 150_000
    assert written / 60 < 6_000
    assert most < 3 * live
    assert len(open_table("changes").file_uris()) <= 10
    assert query("SELECT COUNT(*) FROM views WHERE terms LIKE '%Braga%'") == [(60,)]
    assert query("SELECT COUNT(*), COUNT(DISTINCT (profile_id, purpose)) FROM views") == [(8000, 8000)]


def test_many_changes_are_written_into_the_views(monkeypatch):
    monkeypatch.setattr(upkeep, "LEAST", 0)
    replace_views(some_views(200))
    gather()
    replace_views([ViewRow(profile, "serve", {}) for profile in range(1, 101)])
    gather()

    assert open_table("changes").file_uris() == []
    assert query("SELECT COUNT(*) FROM views") == [(400,)]
    assert query("SELECT COUNT(*) FROM views WHERE terms = '{}'") == [(100,)]


def test_withdrawn_value_is_not_shown_before_its_file_is_written_anew(folder):
    replace_views([ViewRow(1, "message", {"city": [f"s:{MARK}"]}), ViewRow(2, "message", {})])
    gather()
    files = open_table("views").file_uris()

    replace_views([ViewRow(1, "message", {})])

    assert open_table("views").file_uris() == files
    assert MARK in str(duckdb.read_parquet(files).fetchall())
    assert views_of(1) == [("message", "{}")]


def test_value_that_was_replaced_leaves_the_files_within_a_day(folder, monkeypatch):
    replace_views([ViewRow(1, "message", {"city": [f"s:{MARK}"]}), ViewRow(2, "message", {})])
    gather()
    replace_views([ViewRow(1, "message", {})])
    tidy()
    assert len(open_table("changes").file_uris()) == 1

    monkeypatch.setattr(upkeep, "LONGEST", 0)
    tidy()

    assert open_table("changes").file_uris() == []
    assert [MARK in str(duckdb.read_parquet(str(path)).fetchall()) for path in folder.rglob("part-*.parquet")] == [
        False
    ]


def test_events_of_a_withdrawal_are_hidden_and_written_again():
    """A removal hides what has a number up to its own: what is written again afterwards is shown."""
    append_events([viewed(1, "m1"), viewed(2, "m2")], next_batch())
    remove_profiles([1])
    assert query("SELECT message_id FROM events") == [("m2",)]

    append_events([viewed(1, "m1")], next_batch())
    for upkeep_ in (gather, tidy, fold, tidy):
        assert query("SELECT message_id FROM events ORDER BY message_id") == [("m1",), ("m2",)]
        upkeep_()
    assert query("SELECT message_id FROM events ORDER BY message_id") == [("m1",), ("m2",)]


def test_nothing_of_an_erased_profile_is_left_in_any_file(folder):
    replace_views(some_views(20))
    gather()
    replace_views([ViewRow(7, "serve", {"city": [f"s:{MARK}"]})])
    append_events([viewed(7, "m1"), viewed(8, "m2")], next_batch())
    draft = folder / "views" / "part-00000-killed.parquet#1"
    draft.write_bytes(MARK.encode())
    assert in_files(folder, 7) > 3

    remove_profiles([7])
    assert views_of(7) == []
    purge()

    assert in_files(folder, 7) == 0
    assert in_files(folder, 8) == 3
    assert not draft.exists()


def test_an_hour_without_changes_writes_nothing():
    replace_views(some_views(20))
    append_events([viewed(7, "m1")], next_batch())
    gather()
    tidy()
    versions = [open_table(name).version() for name in upkeep.TABLES]
    tidy()

    assert [open_table(name).version() for name in upkeep.TABLES] == versions


@pytest.mark.parametrize("seed", range(2))
def test_upkeep_changes_no_answer(seed, monkeypatch):
    """Compare with a dictionary after every one of some random steps."""
    monkeypatch.setattr(upkeep, "SMALL_FILES", 3)
    monkeypatch.setattr(upkeep, "LEAST", 4_000)
    rng, views, events = random.Random(seed), {}, {}
    for step in range(20):
        some = rng.sample(range(1, 9), 3)
        match rng.choice(("views", "views", "events", "remove", "fold", "tidy", "purge")):
            case "views":
                new = {(profile, purpose): f'{{"a": ["s:{step}"]}}' for profile in some for purpose in ("p", "q")}
                replace_views([ViewRow(*key, {"a": [f"s:{step}"]}) for key in new])
                views |= new
                gather()
            case "events":
                append_events([viewed(profile, f"{step}-{profile}") for profile in some], next_batch())
                events |= {f"{step}-{profile}": profile for profile in some}
            case "remove":
                remove_profiles(some)
                views = {key: terms for key, terms in views.items() if key[0] not in some}
                events = {key: profile for key, profile in events.items() if profile not in some}
            case "fold":
                fold()
            case "tidy":
                tidy()
            case "purge":
                purge()
        assert {(row[0], row[1]): row[2] for row in query("SELECT profile_id, purpose, terms FROM views")} == views
        assert query("SELECT COUNT(*) FROM views") == [(len(views),)]
        assert dict(query("SELECT message_id, profile_id FROM events")) == events
    check_tables()


def test_lake_of_an_earlier_version_takes_changes_and_removals():
    """Its views are a table that was written in place, without numbers."""
    tables = upkeep.delta_library()
    rows = upkeep.arrow_library().table(
        {"profile_id": [1, 2, 3], "purpose": ["serve"] * 3, "terms": ['{"a": ["s:old"]}'] * 3}
    )
    tables.write_deltalake(upkeep.address("views"), rows, mode="append")
    replace_views([ViewRow(1, "serve", {})])
    remove_profiles([2])
    expected = [(1, "{}"), (3, '{"a": ["s:old"]}')]

    for upkeep_ in (gather, tidy, purge, fold, tidy):
        assert query("SELECT profile_id, terms FROM views ORDER BY profile_id") == expected
        upkeep_()
    assert query("SELECT profile_id, terms FROM views ORDER BY profile_id") == expected


def test_views_without_their_changes_are_not_read(folder):
    """They would show what was withdrawn since."""
    replace_views([ViewRow(1, "message", {"city": ["s:Porto"]})])
    gather()
    replace_views([ViewRow(1, "message", {})])
    shutil.rmtree(folder / "changes")

    for read in (lambda: query("SELECT * FROM views"), check_tables):
        with pytest.raises(Invalid) as raised:
            read()
        assert raised.value.code == "lake_damaged"


def test_reader_whose_files_are_removed_reads_the_next_version(monkeypatch):
    replace_views(some_views(50))
    gather()

    def read(_) -> tuple[int, int]:
        [found] = query("SELECT COUNT(*), COUNT(DISTINCT (profile_id, purpose)) FROM views")
        return found

    with ThreadPoolExecutor(3) as pool:
        found = pool.map(read, range(30))
        for number in range(8):
            replace_views([ViewRow(1 + number, "serve", {})])
            fold()
            purge()
        assert set(found) == {(100, 100)}


STEPS: dict[str, Callable[[], object]] = {
    "a change": lambda: replace_views([ViewRow(1, "serve", {"city": ["s:Braga"]})]),
    "a removal": lambda: remove_profiles([2]),
    "a batch of events": lambda: append_events([viewed(3, "m3")], next_batch()),
    "changes are joined": lambda: open_table("changes").optimize.compact(),
    "changes are written into views": fold,
    "removed profiles leave the files": lambda: upkeep._write_out_removed(),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_crash_within_a_commit_leaves_the_last_version(step, folder, tmp_path):
    """Every file that the step writes in turn is cut: those before it are whole, those after it are not there."""
    replace_views(some_views(5))
    append_events([viewed(2, "m1"), viewed(3, "m2")], next_batch())
    gather()
    replace_views([ViewRow(4, "serve", {})])
    remove_profiles([5])
    before, first = tmp_path / "before", answer()
    shutil.copytree(folder, before)
    step()
    last = answer()
    new = sorted(
        (path for path in folder.rglob("*") if path.is_file() and not (before / path.relative_to(folder)).exists()),
        key=lambda path: path.stat().st_mtime_ns,
    )
    written = {path.relative_to(folder): path.read_bytes() for path in new}

    assert len(written) >= 2
    for cut in range(len(written)):
        shutil.rmtree(folder)
        shutil.copytree(before, folder)
        for number, (path, content) in enumerate(written.items()):
            if number > cut:
                break
            # The library writes a draft and gives it its name when it is complete.
            target = folder / (path if number < cut else path.with_name(f"{path.name}#1"))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if number < cut else content[: len(content) // 2])
        check_tables()
        assert answer() in (first, last)
        tidy()
        assert answer() in (first, last)
        assert [path for path in folder.rglob("*") if "#" in path.name] == []
        replace_views([ViewRow(9, "serve", {})])
        assert views_of(9) == [("serve", "{}")]


def answer() -> tuple[list, list]:
    views = query("SELECT profile_id, purpose, terms FROM views ORDER BY profile_id, purpose")
    return views, query("SELECT profile_id, message_id FROM events ORDER BY message_id")


KILLED = """
import sys
from django.conf import settings
settings.configure(LAKE_URL=sys.argv[1])
from regulars.base.lake.tables import ViewRow, replace_views
from regulars.base.lake.upkeep import fold, gather, purge
number = int(sys.argv[2])
while True:
    number += 1
    replace_views([ViewRow(number % 5, "serve", {"n": [f"s:{number}"]})])
    print(number, flush=True)
    gather()
    if number % 3 == 0:
        fold()
    if number % 7 == 0:
        purge()
"""


@pytest.mark.long
def test_killed_writer_loses_nothing_that_it_acknowledged(folder):
    """Kill a process that writes without a pause, at any moment; the short form is `test_crash_within_a_commit…`."""
    rng, number = random.Random(), 0
    for _ in range(15):
        writer = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(number)], stdout=subprocess.PIPE)
        assert writer.stdout.readline()
        time.sleep(2 * rng.random())
        writer.kill()
        lines = writer.communicate()[0].split()
        number = int(lines[-1]) if lines else number + 1
        check_tables()
        [(terms,)] = query(f"SELECT terms FROM views WHERE profile_id = {number % 5}")
        assert int(json.loads(terms)["n"][0][2:]) >= number
    assert number >= 15
    tidy()
    assert [path for path in folder.rglob("*") if "#" in path.name] == []
