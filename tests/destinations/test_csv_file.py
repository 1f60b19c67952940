"""A CSV file grows by whole lines, and no value that a customer enters becomes a formula."""

from __future__ import annotations

import csv
import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from regulars.base.errors import DomainError
from regulars.base.spreadsheet import escaped
from regulars.destinations.kind import DeletionRequest, SegmentMessage, SendFailed
from regulars.destinations.kinds.csv_file import csv_file

AT = dt.datetime(2026, 11, 23, 10, tzinfo=dt.UTC)
MESSAGE = SegmentMessage("msg_1", AT, "auth0|chika", "jackets", "Jackets", True, {"city": "Lyon"})
FILE = {"file": "segments.csv"}


@pytest.fixture(autouse=True)
def exports(settings, tmp_path):
    settings.HOME = tmp_path
    return tmp_path / "exports"


def lines(exports) -> list[dict[str, str]]:
    with (exports / "segments.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_message_is_a_line_below_one_head(exports):
    csv_file.send(MESSAGE, FILE)
    csv_file.send(replace(MESSAGE, id="msg_2", entered=False), FILE)
    first, second = lines(exports)
    assert (first["type"], second["type"]) == ("segment.entered", "segment.left")
    assert first["user_id"] == "auth0|chika"
    assert json.loads(first["traits"]) == {"city": "Lyon"}


def test_only_the_owner_may_read_the_file(exports):
    csv_file.send(MESSAGE, FILE)
    assert (exports / "segments.csv").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", " =", "＝"])
def test_no_cell_begins_a_formula(start):
    assert escaped(f'{start}HYPERLINK("http://bad.example")').startswith("'")


def test_plain_text_is_left_as_it_is():
    assert escaped("Chika - the first") == "Chika - the first"


def test_a_segment_named_like_a_formula_arrives_as_text(exports):
    csv_file.send(replace(MESSAGE, segment_name="=1+1"), FILE)
    assert lines(exports)[0]["segment_name"] == "'=1+1"


def test_many_writers_leave_one_head_and_whole_lines(exports):
    messages = [replace(MESSAGE, id=f"msg_{number}") for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: csv_file.send(each, FILE), messages))
    assert sorted(line["message_id"] for line in lines(exports)) == sorted(each.id for each in messages)


@pytest.mark.parametrize("name", ["../segments.csv", "/etc/passwd", "a/b.csv", "x.txt", ".csv", "a.csv\n", ""])
def test_a_path_is_not_a_file_name(name):
    with pytest.raises(DomainError) as refused:
        csv_file.check({"file": name})
    assert refused.value.code == "bad_file_name"


def test_a_folder_that_cannot_be_written_is_tried_again_later(exports):
    exports.write_text("a file where the folder should be")
    with pytest.raises(SendFailed) as failed:
        csv_file.send(MESSAGE, FILE)
    assert (failed.value.code, failed.value.permanent) == ("cannot_write", False)


def removal(**changes):
    given = {"id": "del_1", "at": AT, "user_id": "auth0|chika", "match": {}, "segments": ("jackets",), "fields": ()}
    return DeletionRequest(**{**given, "erase": False, **changes})


def test_withdrawal_leaves_one_line_of_its_own(exports):
    csv_file.send(MESSAGE, FILE)
    csv_file.send(replace(MESSAGE, id="msg_2", user_id="auth0|dov"), FILE)
    csv_file.remove(removal(), FILE)

    assert [(line["user_id"], line["type"]) for line in lines(exports)] == [
        ("auth0|dov", "segment.entered"),
        ("auth0|chika", "customer.removed"),
    ]


def test_who_is_forgotten_is_not_in_the_file_at_all(exports):
    csv_file.send(MESSAGE, FILE)
    csv_file.remove(removal(erase=True), FILE)
    csv_file.remove(removal(erase=True), {"file": "never-written.csv"})

    assert "chika" not in (exports / "segments.csv").read_text()
    assert not (exports / "never-written.csv").exists()
