"""A database or a backup of a newer version is refused by an older program, by name, and nothing changes."""

from __future__ import annotations

import json

import pytest
from tests.live import own_database
from tests.machines import Machine

from regulars.base.db.usable_database import known_migrations, newer_migrations, refuse_newer_database
from regulars.base.errors import Conflict
from regulars.interfaces.worker.work import Worker

NAME = "9999_from_the_future"
NEWER = f"INSERT INTO django_migrations (app, name, applied) VALUES (?, '{NAME}', '2030-01-01 00:00:00+00:00')"
OLDER = f"DELETE FROM django_migrations WHERE name = '{NAME}'"
NAMES = """
import django; django.setup()
from regulars.profiles.models import Profile
print(sorted(Profile.objects.values_list("user_id", flat=True)))
"""
BACKUP = """
import pathlib; import django; django.setup()
from regulars.operations.backup import write_backup
list(write_backup(pathlib.Path({path!r})))
"""
CUSTOMER = """
import django; django.setup()
from regulars.profiles.find import get_or_create_by_identity
get_or_create_by_identity("auth0", "dov0123456789")
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    with own_database() as url:
        machine = Machine(tmp_path_factory.mktemp("own"), **({"DATABASE_URL": url} if url else {}))
        machine.set_up("--port", "32600")
        yield machine


@pytest.fixture
def newer(machine):
    """The database after a newer version, which has a migration of an app that there is, and of a new one."""
    for app in ("events", "an_app_of_the_future"):
        machine.execute(NEWER, app)
    yield machine
    machine.execute(OLDER)


@pytest.mark.own_database
def test_program_over_a_newer_database_ends_with_its_name(newer):
    for words in (["setup"], ["start", "--port", "32610", "--no-demo"], ["worker"], ["staff", "list"]):
        output = newer.run(*words, fails=True)

        assert f"an_app_of_the_future.{NAME}, events.{NAME}" in output
        assert "(database_is_newer)" in output
    rows = json.loads(newer.run("doctor", "--json", fails=True))
    assert [row["code"] for row in rows if row["check"] == "database"] == ["database_is_newer"]


@pytest.mark.own_database
def test_backup_of_a_newer_version_is_refused_before_anything_is_replaced(machine, tmp_path):
    machine.run("backup", tmp_path / "now.tar.gz")
    machine.execute(NEWER, "an_app_of_the_future")
    path = str(tmp_path / "newer.tar.gz")
    machine.run(code=BACKUP.format(path=path))
    machine.execute(OLDER)
    machine.run(code=CUSTOMER)

    output = machine.run("restore", path, "--yes", fails=True)

    assert f"an_app_of_the_future.{NAME}" in output
    assert "(backup_is_newer)" in output
    assert "dov" in machine.run(code=NAMES)  # and no restore is unfinished
    assert "Start Regulars now" in machine.run("restore", tmp_path / "now.tar.gz", "--yes")


@pytest.mark.django_db
def test_database_of_this_program_is_not_newer():
    refuse_newer_database()

    assert newer_migrations(list(known_migrations())[:3]) == ""


@pytest.mark.django_db(transaction=True)
def test_worker_stops_when_a_newer_version_takes_its_database_over(tmp_path, settings, monkeypatch):
    settings.HOME, settings.LAKE_URL = tmp_path, str(tmp_path / "lake")

    def refuse() -> None:
        raise Conflict("database_is_newer")

    monkeypatch.setattr("regulars.interfaces.worker.work.refuse_unusable_database", refuse)
    with pytest.raises(Conflict, match="database_is_newer"):
        Worker().run()
