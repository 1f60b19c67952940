"""Backup to one file while the server runs; a restore erases again the customers erased since, and fits the lake to it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time

import pytest
from tests.tables import copy_tables

CUSTOMER = """
import django; django.setup()
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.consent.record import Decision
from regulars.usecases.lake import fill_lake
from regulars.usecases.unit_of_work import changes
for name in ("chika", "dov"):
    profile, _ = get_or_create_by_identity("auth0", name + "0123456789")
    with changes(profile, "test") as c:
        c.learn([NewFact("email", name + "@example.com", "declared", "app:shop")])
        c.decide(Decision("message", "given", "login"))
fill_lake({})
"""
# Events that arrive and reach the lake, until a file says that it is enough.
LOAD = """
import django, pathlib, sys; django.setup()
from django.conf import settings
from regulars.events.record import record
from regulars.profiles.models import Profile
from regulars.usecases.lake import fill_lake
profile, written = Profile.objects.get(user_id__startswith="auth0|dov"), 0
while not (settings.HOME / "enough").exists():
    for _ in range(20):
        record(profile.pk, "Product Viewed")
    fill_lake({})
    written += 20
    (settings.HOME / "written").write_text(str(written))
"""
COPY_ROWS = """
import django; django.setup()
from regulars.base.lake.tables import EventRow, append_events, next_batch
from regulars.events.models import Event
from regulars.events.record import record
from regulars.base.jobs.run_jobs import run_due
from regulars.profiles.models import Profile
from django.utils import timezone
from regulars.base.jobs.models import Job
from regulars.usecases.lake import queue_lake_fill
for _ in range(7):
    record(Profile.objects.get(user_id__startswith="auth0|dov").pk, "Product Viewed")
queue_lake_fill()
Job.objects.filter(key="lake").update(due_at=timezone.now())
while run_due():
    pass
rows = [EventRow(e.profile_id, e.message_id, e.type, e.name, e.at, e.terms, e.properties) for e in Event.objects.all()[:7]]
append_events(rows, next_batch())
"""
WORK = """
import django; django.setup()
from regulars.base.jobs.run_jobs import run_due
while run_due():
    pass
"""
COUNTS = """
import django; django.setup()
from regulars.base.lake.query import query
from regulars.consent.models import PermittedView
from regulars.events.models import Event
[(rows, distinct)] = query("SELECT count(*), count(DISTINCT message_id) FROM events")
[(views,)] = query("SELECT count(*) FROM views")
print(rows, distinct, Event.objects.count(), views == PermittedView.objects.count())
"""
COUNT = """
import django; django.setup()
from regulars.profiles.models import Profile
print(sorted(Profile.objects.values_list("user_id", flat=True)))
"""
STOPPED = """
import os, pathlib; import django; django.setup()
from regulars.operations import backup
backup.call_command = lambda *arguments, **options: os._exit(9)
list(backup.restore_backup(pathlib.Path(ARCHIVE)))
"""
KILLED = """
import os, pathlib; import django; django.setup()
from regulars.operations import backup
backup.os.fsync = lambda descriptor: os._exit(9)
list(backup.write_backup(pathlib.Path(ARCHIVE)))
"""
TAMPER = """
import django; django.setup()
from regulars.consent.models import ConsentEvent
ConsentEvent.objects.filter(profile__user_id__startswith="auth0|dov").update(action="refused")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run `regulars …` (or Python) in a home of its own."""
    home = tmp_path_factory.mktemp("installation") / "home"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("REGULARS_", "DATABASE_"))}
    environment |= {"REGULARS_HOME": str(home), "DJANGO_SETTINGS_MODULE": "regulars.settings"}

    def words_of(command, code):
        return ["-c", code] if code else ["-m", "regulars.cli.__main__", *map(str, command)]

    def begin(*command, code=""):
        return subprocess.Popen([sys.executable, *words_of(command, code)], env=environment)

    def execute(*command, code="", fails=False):
        words = words_of(command, code)
        done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=600)
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    copy_tables(home)
    execute("setup", "--port", "32400")
    execute(code=CUSTOMER)
    execute.home, execute.begin = home, begin
    return execute


@pytest.fixture(scope="module")
def archive(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "yesterday.tar.gz"
    run("backup", path)
    return path


def test_a_backup_has_database_and_keys_and_only_its_owner_reads_it(archive):
    with tarfile.open(archive) as kept:
        names = kept.getnames()

    assert {"regulars-backup.json", "database.sqlite3", "secret.key", "credentials.json"} <= set(names)
    assert archive.stat().st_mode & 0o777 == 0o600


def test_next_backup_removes_what_a_killed_one_left(run, tmp_path):
    """The copy of the database and the draft, and no file of others."""
    run(code=KILLED.replace("ARCHIVE", repr(str(tmp_path / "monday.tar.gz"))), fails=True)
    (tmp_path / "film.part").write_bytes(b"not ours")
    left = {path.name.partition("-")[0] for path in tmp_path.iterdir()}
    assert left == {".regulars", "monday.tar.gz.part", "film.part"}

    run("backup", tmp_path / "tuesday.tar.gz")

    assert {path.name for path in tmp_path.iterdir()} == {"film.part", "tuesday.tar.gz"}


def test_second_backup_of_one_name_at_one_time_is_refused(run, tmp_path):
    with (tmp_path / "now.tar.gz.part").open("wb") as draft:
        fcntl.flock(draft, fcntl.LOCK_EX)

        assert "(backup_under_way)" in run("backup", tmp_path / "now.tar.gz", fails=True)

    assert not (tmp_path / "now.tar.gz").exists()


def test_customer_erased_since_the_backup_is_erased_again_by_a_restore(run, archive):
    proof = run("erase", "chika@example.com", "--yes")
    assert "profiles.Fact" in proof
    assert "chika" not in run(code=COUNT)

    output = run("restore", archive, "--yes")

    assert "1 customer(s) erased since then are erased again" in output
    assert run(code=COUNT).strip() == "['auth0|dov0123456789']"


def test_restore_without_an_erasure_restores_every_customer(run, archive):
    run("restore", archive, "--yes")

    assert "auth0|dov0123456789" in run(code=COUNT)


def test_doctor_fails_when_nothing_runs_and_says_so_to_programs(run, archive):
    results = {row["check"]: row for row in json.loads(run("doctor", "--json", fails=True))}

    assert {row["code"] for row in results.values() if row["state"] == "fail"} == {"web_silent", "worker_silent"}
    assert results["database"] == {
        "check": "database", "state": "ok", "code": "", "message": "database (sqlite): ready",
    }  # fmt: skip
    assert "FAIL worker: " in run("doctor", fails=True)


def test_a_file_that_is_no_backup_changes_nothing(run, tmp_path):
    (tmp_path / "photo.tar.gz").write_bytes(b"not a tar")

    output = run("restore", tmp_path / "photo.tar.gz", "--yes", fails=True)

    assert "not_a_backup" in output
    assert "dov" in run(code=COUNT)


def test_erase_of_an_unknown_identifier_fails(run):
    assert "(not_found)" in run("erase", "nobody@example.com", "--yes", fails=True)


def test_how_long_data_is_kept_is_shown_and_changed(run):
    assert "inbox" in run("retention")
    assert "7 days" in run("retention", "inbox", "7")
    assert "unknown_kind" in run("retention", "nonsense", "7", fails=True)
    assert "bad_days" in run("retention", "inbox", "soon", fails=True)


def counts(run) -> tuple[int, int, int, str]:
    """Rows of events in the lake, distinct ones, those in the database, and whether the views agree."""
    rows, distinct, stored, views = run(code=COUNTS).split()
    return int(rows), int(distinct), int(stored), views


def test_backup_under_load_restores_a_lake_that_has_every_event_once(run, tmp_path):
    writer = run.begin(code=LOAD)
    try:
        before = until_written_after(run, 0)
        run("backup", tmp_path / "busy.tar.gz")
        assert until_written_after(run, before) > before
    finally:
        (run.home / "enough").touch()
        writer.wait(60)
    later = counts(run)[2]

    output = run("restore", tmp_path / "busy.tar.gz", "--yes")

    rows, distinct, stored, views = counts(run)
    assert "Lake written anew" in output
    assert (rows, distinct, views) == (stored, stored, "True")
    assert before <= stored < later
    assert f"{rows} events" in run("doctor", fails=True)  # it fails for nothing runs


def until_written_after(run, number):
    """Wait until the load has written more events than `number`. Returns how many it has written."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        path = run.home / "written"
        if path.exists() and (text := path.read_text()) and int(text) > number:
            return int(text)
        time.sleep(0.05)
    raise AssertionError("The load writes nothing.")


def test_lake_in_a_backup_of_an_older_version_is_not_believed(run, archive, tmp_path):
    """Those backups copied the lake after the database, with events that the database did not know yet."""
    run(code=COPY_ROWS)
    older = tmp_path / "older.tar.gz"
    with tarfile.open(archive) as kept, tarfile.open(older, "w:gz") as made:
        for member in kept.getmembers():
            made.addfile(member, kept.extractfile(member))
        made.add(run.home / "lake", "lake")

    run("restore", older, "--yes")

    rows, distinct, stored, views = counts(run)
    assert (rows, distinct, views) == (stored, stored, "True")


def test_doctor_finds_copies_in_the_lake_and_refill_removes_them(run, archive):
    run(code=COPY_ROWS)

    output = run("doctor", fails=True)
    assert "7 of them copies" in output
    assert "lake_differs" in output

    run("lake", "refill")
    run(code=WORK)
    rows, distinct, stored, views = counts(run)
    assert (rows, distinct, views) == (stored, stored, "True")
    assert "lake_differs" not in run("doctor", fails=True)


def test_doctor_finds_a_lake_that_lost_its_rows_and_restore_returns_them(run, archive, tmp_path):
    run("backup", tmp_path / "whole.tar.gz")
    shutil.rmtree(run.home / "lake" / "views")

    assert "lake_differs" in run("doctor", fails=True)

    run("restore", tmp_path / "whole.tar.gz", "--yes")
    assert "(lake_d" not in run("doctor", fails=True)


def test_damaged_lake_is_named_in_one_line_and_restored(run, archive, tmp_path):
    run("backup", tmp_path / "whole.tar.gz")
    sorted((run.home / "lake").glob("views/**/*.parquet"))[0].write_bytes(b"garbage")

    output = run("doctor", fails=True)
    assert "(lake_damaged)" in output
    assert "Traceback" not in output

    run("restore", tmp_path / "whole.tar.gz", "--yes")
    assert "(lake_d" not in run("doctor", fails=True)


def test_restore_that_was_stopped_serves_no_one_and_forgets_no_erasure(run, archive):
    """The database alone knows of the erasure, and is replaced; then the power fails."""
    run("restore", archive, "--yes")
    assert "chika" not in run(code=COUNT)
    (run.home / "erasures.jsonl").unlink()

    run(code=STOPPED.replace("ARCHIVE", repr(str(archive))), fails=True)
    assert "chika" in run(code=COUNT)
    assert "(restore_unfinished)" in run("start", "--port", "32400", fails=True)

    run("restore", archive, "--yes")
    assert "chika" not in run(code=COUNT)
    assert not (run.home / "restore.unfinished").exists()


def test_changed_ledger_is_named_at_its_first_broken_link(run):
    assert "hold" in run("consent", "verify")
    run(code=TAMPER)

    output = run("consent", "verify", fails=True)

    assert "BROKEN" in output
    assert "auth0|dov0123456789" in output
