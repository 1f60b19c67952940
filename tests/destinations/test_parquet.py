"""Parquet files: one whole file per message, replaced when sent again, deleted when the customer is erased."""

from __future__ import annotations

import dataclasses
import io
import json

import pyarrow.parquet as pq
import pytest

from regulars.base.errors import DomainError
from regulars.base.plugins.fields import fill_settings
from regulars.destinations.kind import DeletionRequest, SegmentMessage, SendFailed
from regulars.destinations.kinds.parquet import parquet
from tests.live import ask, run_mock_service

from .conftest import AT

MESSAGE = SegmentMessage("msg_1", AT, "auth0|chika", "jackets", "Jackets", True, {"city": "Porto"})
BUCKET = {"bucket": "lake", "access_key": "a", "secret_key": "b", "endpoint": "http://127.0.0.1:9"}


@pytest.fixture
def folder(settings, tmp_path):
    settings.HOME = tmp_path
    return tmp_path / "exports" / "segments"


def given(**settings):
    return fill_settings(parquet.fields, settings)


def test_the_folder_reads_as_one_table_and_a_message_sent_twice_is_there_once(folder):
    for message in (MESSAGE, MESSAGE, dataclasses.replace(MESSAGE, id="msg_2", entered=False)):
        parquet.send(message, given())
    rows = sorted(pq.read_table(folder).to_pylist(), key=lambda row: row["message_id"])

    assert [row["type"] for row in rows] == ["segment.entered", "segment.left"]
    assert (rows[0]["user_id"], rows[0]["at"], json.loads(rows[0]["traits"])) == ("auth0|chika", AT, {"city": "Porto"})


def test_who_is_taken_back_has_no_file_left(folder):
    parquet.send(MESSAGE, given())
    parquet.send(dataclasses.replace(MESSAGE, id="msg_2", user_id="auth0|dov"), given())
    parquet.remove(DeletionRequest("del_1", AT, "auth0|chika", {}, (), (), erase=True), given())

    assert pq.read_table(folder).column("user_id").to_pylist() == ["auth0|dov"]


@pytest.fixture(scope="module")
def storage():
    with run_mock_service("bucket") as url:
        yield url


def test_a_bucket_takes_and_lets_go_of_the_same_files(storage):
    settings = given(**{**BUCKET, "endpoint": storage})
    for message in (MESSAGE, MESSAGE, dataclasses.replace(MESSAGE, id="msg_2", user_id="auth0|dov")):
        parquet.send(message, settings)
    names = ask("GET", f"{storage}/lake?list-type=2").text
    assert names.count("<Key>segments/msg_1.parquet</Key>") == 1
    written = ask("GET", f"{storage}/lake/segments/msg_1.parquet").content
    assert pq.read_table(io.BytesIO(written)).column("user_id").to_pylist() == ["auth0|chika"]
    parquet.remove(DeletionRequest("del_1", AT, "auth0|chika", {}, (), (), erase=True), settings)
    names = ask("GET", f"{storage}/lake?list-type=2").text

    assert "msg_1" not in names
    assert "msg_2" in names


def test_bucket_that_refuses_the_key_does_not_repeat_it(storage):
    with pytest.raises(SendFailed) as failed:
        parquet.send(
            MESSAGE, given(**{**BUCKET, "endpoint": storage, "access_key": "wrong", "secret_key": "very-secret"})
        )

    assert failed.value.code in ("not_allowed", "cannot_write")
    assert "very-secret" not in failed.value.message


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"folder": "../up"}, "bad_folder"),
        ({"folder": "/etc"}, "bad_folder"),
        ({"bucket": "Not A Bucket"}, "bad_bucket"),
        ({**BUCKET, "secret_key": ""}, "setting_missing"),
        ({**BUCKET, "endpoint": "storage"}, "bad_url"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(settings, name):
    with pytest.raises(DomainError) as refused:
        parquet.check(given(**settings))

    assert refused.value.code == name


def test_a_storage_that_is_down_is_tried_again(folder):
    with pytest.raises(SendFailed) as failed:
        parquet.send(MESSAGE, given(**BUCKET))

    assert (failed.value.code, failed.value.permanent) == ("cannot_write", False)


def test_a_storage_behind_the_wall_is_not_called(folder):
    with pytest.raises(SendFailed) as failed:
        parquet.send(MESSAGE, given(**{**BUCKET, "endpoint": "http://169.254.169.254"}))

    assert (failed.value.code, failed.value.permanent) == ("address_not_allowed", True)
