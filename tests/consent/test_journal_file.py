"""The journal of one machine: what was acknowledged is on the disk, and what is missing or damaged is noticed."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
import uuid

import pytest

from regulars.base.crypto import key_id
from regulars.base.errors import Conflict, Invalid
from regulars.consent import journal_file
from regulars.consent.journal_file import JournalLine

KEY = "the key of the installation"
AT = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
KILLED = """
import os, signal, sys
from pathlib import Path
from tests.consent.test_journal_file import KEY, a_line, append
append(Path(sys.argv[1]), [a_line("kept")], KEY)
print("acknowledged", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def a_line(body: str = "", who: str = "chika") -> JournalLine:
    return JournalLine(uuid.uuid4(), "decision", AT, (who,), key_id(KEY), body)


def append(path, lines, key=KEY) -> None:
    journal_file.append(path, lines, key)


def read(path, key=KEY, **options) -> list[JournalLine]:
    return list(journal_file.read(path, key, **options))


def remove(path, unwanted) -> int:
    return journal_file.remove(path, unwanted, KEY)


def bodies(path, **options) -> list[str]:
    return [line.body for line in read(path, **options)]


def rows_of(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_rows(path, rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def of_an_earlier_version(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in ("v", "prev", "seal")}


def code_of(path) -> str:
    with pytest.raises(Invalid) as raised:
        read(path)
    return raised.value.code


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


@pytest.fixture
def five(path):
    append(path, [a_line(body) for body in "abcde"])
    return path


def test_entries_are_read_as_they_were_written_and_are_their_owners_alone(path):
    lines = [a_line("a"), a_line("b", who="dov")]
    append(path, lines[:1])
    append(path, lines[1:])

    assert list(read(path)) == lines
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(read(path.with_name("absent"))) == []


def test_acknowledged_entry_survives_kill_9(path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], capture_output=True, text=True, check=False)

    assert done.stdout == "acknowledged\n", done.stderr
    assert bodies(path) == ["kept"]


@pytest.mark.parametrize("left", [1, 40, -1])
def test_half_written_last_line_is_no_entry_and_the_next_one_takes_its_place(five, left):
    lines = five.read_bytes().splitlines(keepends=True)
    five.write_bytes(b"".join(lines[:4]) + lines[4][:left])
    assert bodies(five) == ["a", "b", "c", "d"]

    append(five, [a_line("f")])

    assert bodies(five) == ["a", "b", "c", "d", "f"]


def test_half_of_the_only_line_is_an_empty_journal(path):
    path.write_bytes(b'{"n": 1, "id"')
    assert bodies(path) == []

    append(path, [a_line("a")])

    assert bodies(path) == ["a"]


def test_last_line_longer_than_what_is_read_at_once_is_counted(path):
    append(path, [a_line("x" * 200_000)])
    append(path, [a_line("y")])

    assert [len(each) for each in bodies(path)] == [200_000, 1]


@pytest.mark.parametrize("missing", [0, 1, 3])
def test_hole_is_an_error_and_what_is_left_can_be_read_on_demand(five, missing):
    lines = five.read_bytes().splitlines(keepends=True)
    del lines[missing]
    five.write_bytes(b"".join(lines))

    with pytest.raises(Invalid) as raised:
        bodies(five)

    assert raised.value.code == "journal_unreadable"
    assert f"Line {missing + 1} of" in raised.value.message
    assert bodies(five, damaged=True) == [each for number, each in enumerate("abcde") if number != missing]


@pytest.mark.parametrize(
    "damaged",
    [
        b"\0" * 40,
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"n": 2}',
        b'{"n": "2", "kind": "decision"}',
        b'{"n": true, "kind": 3}',
        b'{"n": [2], "kind": "removed"}',
        b'{"n": [5, 2], "kind": "removed"}',
        b'{"n": 2, "kind": "decision", "id": "x", "at": "2026-11-29T12:00:00+00:00", "who": [], "key": "", "body": ""}',
        b'{"n": 2, "kind": "decision", "id": "%s", "at": "2026-11-29T12:00:00", "who": [], "key": "", "body": ""}'
        % str(uuid.uuid4()).encode(),
    ],
    ids=range(11),
)
def test_line_that_is_no_entry_is_named_and_the_others_stay_readable(five, damaged):
    lines = five.read_bytes().splitlines(keepends=True)
    lines[1] = damaged + b"\n"
    five.write_bytes(b"".join(lines))

    with pytest.raises(Invalid) as raised:
        bodies(five)

    assert "Line 2 of" in raised.value.message
    assert bodies(five, damaged=True) == ["a", "c", "d", "e"]


def test_removed_entries_leave_no_hole_and_nothing_of_theirs(path):
    append(
        path,
        [
            a_line(body, who)
            for body, who in zip("abcdef", ["ana", "chika", "chika", "dov", "chika", "dov"], strict=True)
        ],
    )

    assert remove(path, lambda line: "chika" in line.who) == 3
    append(path, [a_line("g", "dov")])
    assert remove(path, lambda line: line.body == "a") == 1

    assert bodies(path) == ["d", "f", "g"]
    assert "chika" not in path.read_text()
    assert [json.loads(each)["n"] for each in path.read_text().splitlines()] == [[1, 3], 4, [5, 5], 6, 7]
    assert path.stat().st_mode & 0o777 == 0o600
    assert remove(path, lambda line: "chika" in line.who) == 0


def test_all_entries_can_go_and_the_count_goes_on(five):
    remove(five, lambda line: True)
    append(five, [a_line("f")])

    assert bodies(five) == ["f"]
    assert [json.loads(each)["n"] for each in five.read_text().splitlines()] == [[1, 5], 6]


def test_removal_mends_no_damage(five):
    lines = five.read_bytes().splitlines(keepends=True)
    five.write_bytes(b"".join([*lines[:2], *lines[3:]]))

    remove(five, lambda line: line.body in "bd")

    with pytest.raises(Invalid):
        bodies(five)


def test_entries_of_many_writers_while_others_are_removed_are_all_there(path):
    def write(name):
        for number in range(30):
            append(path, [a_line(f"{name}{number}", name)])
            append(path, [a_line("", "erased")])
            if number % 10 == 0:
                remove(path, lambda line: "erased" in line.who)

    writers = [threading.Thread(target=write, args=(name,)) for name in ("ana", "bruno", "chika")]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    remove(path, lambda line: "erased" in line.who)

    assert sorted(bodies(path)) == sorted(
        f"{name}{number}" for name in ("ana", "bruno", "chika") for number in range(30)
    )


def test_others_append_while_a_long_file_is_written_anew(five):
    """The lines that they add are behind those that were copied by then, and are copied last."""
    asked = []

    def unwanted(line):
        asked.append(line.body)
        if line.body == "c" and asked.count("c") == 1:  # in the middle of the copy
            other = threading.Thread(target=append, args=(five, [a_line("f"), a_line("b", "erased")]))
            other.start()
            other.join(30)
            assert not other.is_alive()
        return line.body == "b"

    assert remove(five, unwanted) == 2

    assert bodies(five) == ["a", "c", "d", "e", "f"]
    assert [each.name for each in five.parent.iterdir()] == [five.name]


def test_two_removals_at_once_remove_both_and_lose_nothing(path):
    append(path, [a_line(str(number), "ana" if number % 2 else "dov") for number in range(400)])
    append(path, [a_line("kept", "chika")])
    removals = [
        threading.Thread(target=remove, args=(path, lambda line, who=who: who in line.who)) for who in ("ana", "dov")
    ]
    for each in removals:
        each.start()
    for each in removals:
        each.join()

    assert bodies(path) == ["kept"]


def test_draft_of_a_removal_that_was_killed_is_written_over(five):
    five.with_name("journal.jsonl.new").write_bytes(five.read_bytes() * 9)

    remove(five, lambda line: line.body == "a")

    assert bodies(five) == ["b", "c", "d", "e"]


def test_file_that_is_taken_away_during_a_removal_is_named_and_not_lost(five):
    kept = five.with_name("kept")
    asked = []

    def unwanted(line):
        asked.append(line)
        if len(asked) == 4:
            five.rename(kept)
        return line.body == "b"

    with pytest.raises(Conflict) as raised:
        remove(five, unwanted)

    assert raised.value.code == "journal_replaced"
    assert bodies(kept) == ["a", "b", "c", "d", "e"]


def test_full_disk_is_an_error_and_leaves_a_readable_journal(five, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        append(five, [a_line("f")])
    monkeypatch.undo()

    append(five, [a_line("g")])
    assert bodies(five)[:5] == list("abcde")
    assert bodies(five)[-1] == "g"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "retracted"),
        ("at", "2026-11-29T11:00:00+00:00"),
        ("who", ["dov"]),
        ("id", str(uuid.UUID(int=7))),
        ("body", "z"),
        ("prev", "0" * 32),
        ("seal", "0" * 32),
        ("more", 1),
    ],
)
def test_line_of_which_anything_was_altered_is_named(five, name, value):
    rows = rows_of(five)
    rows[2][name] = value
    write_rows(five, rows)

    assert code_of(five) == "journal_altered"
    assert bodies(five, damaged=True) == ["a", "b", "d", "e"]


def test_line_under_the_name_of_another_key_is_missed_by_the_next(five):
    rows = rows_of(five)
    rows[2]["key"] = key_id("another")
    write_rows(five, rows)

    assert code_of(five) == "journal_altered"


def test_lines_of_another_key_are_read_and_not_checked(path):
    append(path, [a_line("a")], "another")

    assert bodies(path) == ["a"]
    assert bodies(path, key="another") == ["a"]


@pytest.mark.parametrize("as_gap", [False, True])
def test_line_that_was_taken_out_is_missed_though_the_others_were_numbered_anew(five, as_gap):
    rows = rows_of(five)
    if as_gap:
        rows[2] = {"n": [3, 3], "kind": "removed"}
    else:
        rows = [{**row, "n": number} for number, row in enumerate(rows[:2] + rows[3:], 1)]
    write_rows(five, rows)

    assert code_of(five) == "journal_altered"


@pytest.mark.parametrize("forged", ["order", "file", "twice"])
def test_line_of_another_place_is_noticed(five, tmp_path, forged):
    rows = rows_of(five)
    if forged == "order":
        rows[1], rows[2] = {**rows[2], "n": 2}, {**rows[1], "n": 3}
    elif forged == "file":
        append(tmp_path / "other", [a_line(body) for body in "vwx"])
        rows[1] = rows_of(tmp_path / "other")[1]
    else:
        rows[2] = rows[1] | {"n": 3}
    write_rows(five, rows)

    assert code_of(five) == "journal_altered"


def test_removed_lines_keep_the_chain_and_their_range_cannot_be_forged(five):
    remove(five, lambda line: line.body in "bc")
    append(five, [a_line("f")])
    remove(five, lambda line: line.body == "d")
    assert bodies(five) == ["a", "e", "f"]

    rows = rows_of(five)
    rows[1:3] = [{**rows[1], "n": [2, 5]}]
    write_rows(five, rows)

    assert code_of(five) == "journal_altered"


def test_lines_of_an_earlier_version_are_read_and_kept_apart(five):
    write_rows(five, map(of_an_earlier_version, rows_of(five)))
    append(five, [a_line("f")])
    remove(five, lambda line: line.body == "b")

    assert [(line.body, line.version) for line in read(five)] == [("a", 1), ("c", 1), ("d", 1), ("e", 1), ("f", 2)]
    five.write_bytes(five.read_bytes().replace(b'"e"', b'"y"'))
    assert code_of(five) == "journal_altered"  # the line after it is chained to it


def test_line_of_a_later_version_is_no_entry(five):
    rows = rows_of(five)
    rows[4]["v"] = 3
    write_rows(five, rows)

    assert code_of(five) == "journal_unreadable"
