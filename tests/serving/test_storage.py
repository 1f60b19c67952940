"""Faults of what an installation stores on are found and have a code: folders, disks, database, lake."""

from __future__ import annotations

import datetime as dt
import errno
import shutil
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

from regulars.base.errors import Invalid
from regulars.base.lake.query import query
from regulars.base.lake.tables import EventRow, append_events
from regulars.serving import storage
from regulars.serving.storage import fault_of, folder_faults, lake_faults

AT = dt.datetime(2026, 11, 24, 10, tzinfo=dt.UTC)


@pytest.fixture
def filled(lake, settings) -> Path:
    """A lake of three commits. Returns the folder of its events."""
    for number in range(1, 4):
        append_events([EventRow(number, f"m{number}", "track", "Viewed", AT, {}, {})], number)
    return Path(settings.LAKE_URL) / "events"


def first(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


DAMAGES = {
    "a log of garbage": lambda events: first(events, "_delta_log/*.json").write_bytes(b"garbage{"),
    "a log that was cut": lambda events: first(events, "_delta_log/*.json").write_bytes(b'{"commitInfo"'),
    "an entry of the log is gone": lambda events: first(events, "_delta_log/*.json").unlink(),
    "the log is gone": lambda events: shutil.rmtree(events / "_delta_log"),
    "a file of garbage": lambda events: first(events, "**/*.parquet").write_bytes(b"garbage"),
    "an empty file": lambda events: first(events, "**/*.parquet").write_bytes(b""),
    "a file is gone": lambda events: first(events, "**/*.parquet").unlink(),
    "a file in place of the folder": lambda events: (shutil.rmtree(events.parent), events.parent.write_text("x")),
}


def test_a_whole_lake_has_no_fault(filled):
    assert list(lake_faults()) == []


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_lake_is_named(filled, damage):
    damage(filled)

    assert [fault.code for fault in lake_faults()] == ["lake_damaged"]


@pytest.mark.parametrize("damage", ["a log of garbage", "a file of garbage", "an empty file"])
def test_a_query_of_a_damaged_lake_has_a_code(filled, damage):
    DAMAGES[damage](filled)

    with pytest.raises(Invalid) as raised:
        query("SELECT * FROM events")

    assert raised.value.code == "lake_damaged"


@pytest.mark.django_db
def test_folders_that_can_be_written_have_no_fault(settings, tmp_path):
    settings.HOME, settings.LAKE_URL = tmp_path, str(tmp_path / "not yet" / "lake")

    assert list(folder_faults()) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db
def test_a_disk_that_is_almost_full_is_named(settings, tmp_path, monkeypatch):
    settings.HOME, settings.LAKE_URL = tmp_path, str(tmp_path / "lake")
    monkeypatch.setattr(storage, "MIN_FREE", 2**62)

    assert {fault.code for fault in folder_faults()} == {"disk_full"}


@pytest.mark.django_db
def test_home_that_is_gone_is_named(settings, tmp_path):
    settings.HOME, settings.LAKE_URL = tmp_path / "gone", str(tmp_path / "lake")

    assert [fault.code for fault in folder_faults()] == ["file_not_found"]


@pytest.mark.django_db(transaction=True)
def test_fault_of_the_database_has_a_code():
    with pytest.raises(DatabaseError) as missing, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM a_table_that_is_missing")
    with pytest.raises(DatabaseError) as wrong, connection.cursor() as cursor:
        cursor.execute("SELECT nonsense nonsense nonsense")

    assert fault_of(missing.value).code == "not_set_up"
    assert fault_of(wrong.value) is None  # an error of this program


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk_full"),
        (OSError(errno.EROFS, "Read-only file system", "/srv/x"), "read_only"),
        (PermissionError(errno.EACCES, "Permission denied", "/srv/x"), "permission_denied"),
        (OSError(errno.ELOOP, "Too many levels of symbolic links", "/srv/x"), "system_error"),
        (ImproperlyConfigured("REGULARS_TRUST_PROXY must be a number"), "bad_configuration"),
        (Invalid("bad_period", "A period ends after it begins."), "bad_period"),
    ],
)
def test_fault_of_a_file_or_a_setting_has_a_code(error, code):
    assert fault_of(error).code == code


def test_error_of_the_program_is_no_fault_of_storage():
    assert fault_of(TypeError("x")) is None
