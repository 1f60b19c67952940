"""A restore on a new machine, of several machines, or stopped half-way brings nothing back that was erased or withdrawn."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
import uuid
from pathlib import Path

import psycopg
import pytest
from tests.live import own_database
from tests.machines import Machine, machine_like

from regulars.base.errors import Invalid
from regulars.base.home_folder import UNFINISHED, WORKERS, locked
from regulars.consent.erasures import FILE, ListCopier, in_file, list_path
from regulars.consent.models import Erasure
from regulars.interfaces.worker.work import Worker
from regulars.operations import backup as backups
from regulars.operations.doctor import run_checks
from regulars.profiles.find import get_or_create_by_identity
from regulars.serving.readiness import find_faults
from regulars.usecases.erase import erase_customer

CUSTOMERS = """
import django; django.setup()
from regulars.profiles.find import get_or_create_by_identity
for name in ("chika", "dov"):
    get_or_create_by_identity("auth0", name + "0123456789")
"""
SAYS_YES = """
import django; django.setup()
from regulars.consent.record import Decision
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.usecases.unit_of_work import changes
with changes(Profile.objects.get(user_id__startswith="auth0|dov"), "test") as c:
    yes = c.decide(Decision("personalise", "given", "login", pieces=("gender",)))
    c.learn([NewFact("gender", "male", "declared", "question:gender@1", consents=[yes.pk])])
    c.learn([NewFact("given_name", "Dov", "declared", "app:shop")])
    c.learn([NewFact("family_name", "Levi", "declared", "app:shop")])
"""
SAYS_NO = """
import django; django.setup()
from regulars.consent.record import Decision
from regulars.profiles.models import Profile
from regulars.usecases.correct_facts import correct, remove
from regulars.usecases.decide_consent import decide
dov = Profile.objects.get(user_id__startswith="auth0|dov")
decide(dov, Decision("personalise", "withdrawn", "profile"))
decide(dov, Decision("measure", "objected", "profile"))
correct(dov, "given_name", "David")
remove(dov, "family_name")
"""
STANDS = """
import django; django.setup()
from regulars.consent.view import view
from regulars.profiles.models import Profile
dov = Profile.objects.get(user_id__startswith="auth0|dov")
states = dict(dov.consent_states.order_by("purpose").values_list("purpose", "status"))
print(states, dov.document.get("given_name"), dov.document.get("family_name"), "gender" in view(dov, "personalise"))
"""
OPEN = "{'personalise': 'given'} Dov Levi True"
CLOSED = "{'measure': 'objected', 'personalise': 'withdrawn'} David None False"
NAMES = """
import django; django.setup()
from regulars.profiles.models import Profile
print(sorted(Profile.objects.values_list("user_id", flat=True)))
"""
STOPPED = """
import os, pathlib; import django; django.setup()
from regulars.operations import backup
backup.call_command = lambda *arguments, **options: os._exit(9)
list(backup.restore_backup(pathlib.Path({path!r})))
"""
WEB = """
from regulars.base.errors import Conflict
try:
    import regulars.serving.asgi
except Conflict as error:
    print(f"({error.code})")
"""
FAILED = """
import pathlib; import django; django.setup()
from regulars.base.errors import Invalid
from regulars.operations import backup
def fail(): raise Invalid("dump_failed", "pg_restore failed.")
backup._LOADS = {{name: lambda source: fail for name in backup._LOADS}}
try:
    list(backup.restore_backup(pathlib.Path({path!r})))
except Invalid as error:
    print(f"({{error.code}})")
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """An installation with two customers, a backup of both; since then one was erased and the other withdrew."""
    machine = Machine(tmp_path_factory.mktemp("old"))
    machine.set_up("--port", "32500")
    machine.run(code=CUSTOMERS)
    machine.run(code=SAYS_YES)
    machine.archive = machine.home.parent / "yesterday.tar.gz"
    machine.run("backup", machine.archive)
    machine.run("erase", "auth0|chika0123456789", "--yes")
    machine.run(code=SAYS_NO)
    return machine


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """An installation that was just set up, to be copied: a set-up takes seconds."""
    machine = Machine(tmp_path_factory.mktemp("empty"))
    machine.set_up("--port", "32510")
    return machine.home


@pytest.fixture
def new(empty, tmp_path):
    return machine_like(empty, tmp_path)


def test_new_machine_with_the_copied_list_erases_the_customer_again(old, new):
    """As `backups.md` says it: set up, copy the list, restore."""
    new.copy_lists(old)

    output = new.run("restore", old.archive, "--yes")

    assert "1 customer(s) erased since then are erased again" in output
    assert new.run(code=NAMES).strip() == "['auth0|dov0123456789']"
    assert (new.home / "secret.key").read_text() == (old.home / "secret.key").read_text()


def test_lists_of_other_machines_count_and_are_kept(old, new, tmp_path):
    entries = old.list.read_text().splitlines()
    (tmp_path / "web-1.jsonl").write_text("")
    (tmp_path / "web-2.jsonl").write_text("\n".join(entries) + "\n")

    output = new.run(
        *("restore", old.archive, "--yes", "--journal", old.journal),
        *("--erasures", tmp_path / "web-1.jsonl", "--erasures", tmp_path / "web-2.jsonl"),
    )

    assert "1 customer(s) erased since" in output
    assert set(entries) < set(new.list.read_text().splitlines())  # and the repeated erasure
    assert "1 customer(s) erased since" in new.run("restore", old.archive, "--yes")


def test_new_machine_without_a_list_is_refused_unless_asked_for(old, new):
    new.journal.write_bytes(old.journal.read_bytes())

    output = new.run("restore", old.archive, "--yes", fails=True)

    assert "(erasures_missing)" in output
    assert new.run(code=NAMES).strip() == "[]"
    new.run("restore", old.archive, "--yes", "--without-erasures")
    assert "chika" in new.run(code=NAMES)


def test_list_under_another_key_is_refused_and_nothing_changes(old, new):
    new.run(code=CUSTOMERS)
    new.run("erase", "auth0|dov0123456789", "--yes")
    key = (new.home / "secret.key").read_text()

    for _ in ("its own list and database", "the database alone"):
        assert "(erasures_unreadable)" in new.run("restore", old.archive, "--yes", "--without-erasures", fails=True)
        new.list.unlink(missing_ok=True)

    assert new.run(code=NAMES).strip() == "['auth0|chika0123456789']"
    assert (new.home / "secret.key").read_text() == key
    assert not (new.home / UNFINISHED).exists()


@pytest.mark.parametrize("line", ["{", '{"id": "x"}', "[]", '{"id": 1, "at": null}'])
def test_line_that_cannot_be_read_is_named(old, new, line):
    new.list.write_text(old.list.read_text() + line + "\n")

    output = new.run("restore", old.archive, "--yes", fails=True)

    assert "Line 2 of" in output
    assert "(erasures_unreadable)" in output


def test_list_of_an_older_version_names_no_key_and_is_read(old, new):
    rows = [json.loads(line) for line in old.list.read_text().splitlines()]
    new.copy_lists(old)
    new.list.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "key"}) + "\n" for row in rows))

    assert "1 customer(s) erased since" in new.run("restore", old.archive, "--yes")


def test_key_in_the_environment_must_be_that_of_the_backup(old, empty, tmp_path):
    other = machine_like(empty, tmp_path / "other", REGULARS_SECRET_KEY="another key")

    assert "(other_key)" in other.run("restore", old.archive, "--yes", "--without-erasures", fails=True)

    same = machine_like(empty, tmp_path / "same", REGULARS_SECRET_KEY=(old.home / "secret.key").read_text())
    words = ("restore", old.archive, "--yes", "--erasures", old.list, "--journal", old.journal)
    assert "1 customer(s) erased since" in same.run(*words)
    assert same.run(code=STANDS).strip() == CLOSED


def test_backup_with_the_key_in_the_environment_holds_no_other_key(new, empty, tmp_path):
    machine = machine_like(empty, tmp_path / "keyed", REGULARS_SECRET_KEY="the key that counts")

    machine.run("backup", tmp_path / "kept.tar.gz")

    with tarfile.open(tmp_path / "kept.tar.gz") as kept:
        assert "secret.key" not in kept.getnames()
    assert "(other_key)" in new.run("restore", tmp_path / "kept.tar.gz", "--yes", "--without-erasures", fails=True)


def test_stopped_restore_on_a_new_machine_is_run_again_to_its_end(old, new):
    new.copy_lists(old)
    new.run(code=STOPPED.format(path=str(old.archive)), fails=True)
    assert "chika" in new.run(code=NAMES)

    refused = [["worker"], ["setup"], ["backup", "b.tar.gz"], ["staff", "list"], ["start", "--port", "32540"]]
    assert [words for words in refused if "(restore_unfinished)" not in new.run(*words, fails=True)] == []
    assert "(restore_unfinished)" in new.run(code=WEB)
    output = new.run("doctor", fails=True)
    assert "(restore_unfinished)" in output
    assert "(restore_left_copies)" in output

    new.run("restore", old.archive, "--yes")
    assert "chika" not in new.run(code=NAMES)
    assert list(new.home.glob(".regulars-*")) == []
    new.run("staff", "list")


def test_restore_that_fails_after_a_stopped_one_leaves_the_home_closed(old, new):
    """Here the second is stopped by its own fault, as `pg_restore` is when the connection ends."""
    new.copy_lists(old)
    new.run(code=STOPPED.format(path=str(old.archive)), fails=True)

    assert "(dump_failed)" in new.run(code=FAILED.format(path=str(old.archive)))

    assert "(restore_unfinished)" in new.run("staff", "list", fails=True)
    new.run("restore", old.archive, "--yes")
    assert "chika" not in new.run(code=NAMES)


def test_restore_is_refused_while_a_worker_runs_in_the_home(old, new):
    with locked(new.home / WORKERS, shared=True), locked(new.home / WORKERS, shared=True):
        assert "(home_in_use)" in new.run("restore", old.archive, "--yes", "--without-erasures", fails=True)

    with locked(new.home / WORKERS):
        assert "(home_in_use)" in new.run("worker", fails=True)
        assert "(home_in_use)" in new.run(code=WEB)


@pytest.mark.own_database
@pytest.mark.skipif(
    not os.environ.get("DATABASE_URL", "").startswith("postgres"), reason="SQLite has no other machines"
)
def test_restore_on_postgresql_is_whole_and_refused_while_another_machine_runs(empty, tmp_path):
    with own_database() as first, own_database() as second:
        assert first
        assert second
        machine = machine_like(empty, tmp_path / "old", DATABASE_URL=first)
        machine.set_up()
        machine.run(code=CUSTOMERS)
        machine.run(code=SAYS_YES)
        machine.run("backup", tmp_path / "kept.tar.gz")
        machine.run("erase", "auth0|chika0123456789", "--yes")
        new = machine_like(empty, tmp_path / "new", DATABASE_URL=second)
        new.set_up()
        machine.run(code=SAYS_NO)
        words = ("restore", tmp_path / "kept.tar.gz", "--yes", "--erasures", machine.list, "--journal", machine.journal)

        # A newer version has a table that refers to one of the backup, and an operator one that is none of ours.
        new.execute("CREATE TABLE events_of_the_future (profile bigint REFERENCES profiles_profile (id))")
        new.execute("CREATE TABLE kept (value integer)")
        with psycopg.connect(second, application_name="regulars web-2:4711"):
            output = new.run(*words, fails=True)
        assert "Regulars runs with this database: web-2:4711" in output
        assert "(database_in_use)" in output

        assert "1 customer(s) erased since" in new.run(*words)
        assert new.run(code=NAMES).strip() == "['auth0|dov0123456789']"
        assert new.run(code=STANDS).strip() == CLOSED
        new.execute("CREATE TABLE events_of_the_future ()")
        new.execute("DROP TABLE kept")


def test_withdrawal_deletion_correction_and_objection_since_the_backup_hold(old, new):
    new.copy_lists(old)

    output = new.run("restore", old.archive, "--yes")

    assert "5 decision(s), deletion(s) and correction(s) made since then are repeated" in output
    assert new.run(code=STANDS).strip() == CLOSED
    assert "hold" in new.run("consent", "verify")
    again = new.run("restore", old.archive, "--yes")
    assert "5 decision(s)" in again
    assert new.run(code=STANDS).strip() == CLOSED


def test_backup_of_after_the_restore_needs_no_repetition(old, new, tmp_path):
    new.copy_lists(old)
    new.run("restore", old.archive, "--yes")
    new.run("backup", tmp_path / "second.backup")
    new.run(code=SAYS_YES)

    output = new.run("restore", tmp_path / "second.backup", "--yes")

    assert "0 decision(s), deletion(s)" in output
    assert "1 consent(s) given since then are left out" in output
    assert new.run(code=STANDS).strip() == CLOSED


def test_new_machine_without_a_journal_is_refused_unless_asked_for(old, new):
    new.list.write_bytes(old.list.read_bytes())

    assert "(journal_missing)" in new.run("restore", old.archive, "--yes", fails=True)
    assert new.run(code=NAMES).strip() == "[]"

    new.run("restore", old.archive, "--yes", "--without-journal")
    assert new.run(code=STANDS).strip() == OPEN


def test_damaged_journal_is_refused_and_what_it_still_has_is_repeated_on_demand(old, new):
    new.copy_lists(old)
    lines = old.journal.read_bytes().splitlines(keepends=True)
    new.journal.write_bytes(b"".join([*lines[:2], *lines[3:]]))

    assert "(journal_unreadable)" in new.run("restore", old.archive, "--yes", fails=True)
    assert "(journal_unreadable)" in new.run("doctor", fails=True)

    new.run("restore", old.archive, "--yes", "--without-journal")
    assert new.run(code=STANDS).strip() != OPEN


ALTERED = {
    "body": {"body": "A" * 40},
    "unknown kind": {"kind": "newer"},
    "another kind": {"kind": "retracted"},
    "time": {"at": "2020-01-01T00:00:00+00:00"},
    "people": {"who": []},
}


@pytest.mark.parametrize("is_stripped", [False, True])
@pytest.mark.parametrize("altered", ALTERED)
def test_altered_entry_is_named_before_anything_changes(old, new, altered, is_stripped):
    """`is_stripped`: its seals are taken off, so that the file looks like one of an earlier version."""
    new.copy_lists(old)
    rows = [json.loads(line) for line in old.journal.read_text().splitlines()]
    last = next(row for row in reversed(rows) if row["kind"] == "decision")
    last |= ALTERED[altered]
    if is_stripped:
        rows = [{key: value for key, value in row.items() if key not in ("v", "prev", "seal")} for row in rows]
    new.journal.write_text("".join(json.dumps(row) + "\n" for row in rows))

    output = new.run("restore", old.archive, "--yes", fails=True)

    assert "(journal_altered)" in output
    assert new.run(code=NAMES).strip() == "[]"
    if not is_stripped:
        new.run("restore", old.archive, "--yes", "--without-journal")
        assert new.run(code=STANDS).strip() not in (OPEN, CLOSED)


def test_journal_that_was_cut_off_at_its_end_is_read(old, new):
    new.copy_lists(old)
    new.journal.write_bytes(old.journal.read_bytes() + b'{"n": 99, "id": "cut o')

    new.run("restore", old.archive, "--yes")

    assert new.run(code=STANDS).strip() == CLOSED


def test_journal_of_another_installation_is_refused_and_nothing_changes(old, new):
    new.run(code=CUSTOMERS)
    new.run(code=SAYS_YES)
    new.run(code=SAYS_NO)
    words = ("restore", old.archive, "--yes", "--erasures", old.list, "--journal", old.journal)

    output = new.run(*words, fails=True)

    assert "(journal_unreadable)" in output
    assert "under another key" in output
    assert "chika" in new.run(code=NAMES)
    new.run(*words, "--without-journal")
    assert new.run(code=STANDS).strip() == CLOSED
    new.run("restore", old.archive, "--yes")


def test_backup_that_is_older_than_the_journal_is_refused(old, new, tmp_path):
    """As one of a version without a journal, which names no time; and one from before the retention's end."""
    new.copy_lists(old)
    with tarfile.open(old.archive) as kept, tarfile.open(tmp_path / "older.tar.gz", "w:gz") as made:
        for member in kept.getmembers():
            text = kept.extractfile(member).read()
            if member.name == backups.MANIFEST:
                text = json.dumps({k: v for k, v in json.loads(text).items() if k != "made_at"}).encode()
                member.size = len(text)
            made.addfile(member, io.BytesIO(text))

    assert "(journal_missing)" in new.run("restore", tmp_path / "older.tar.gz", "--yes", fails=True)

    new.run("restore", tmp_path / "older.tar.gz", "--yes", "--without-journal")
    assert new.run(code=STANDS).strip() == CLOSED


def test_stopped_restore_forgets_nothing_that_the_database_alone_knew(old, new):
    """The file was lost, the database has everything, and is replaced; then the power fails."""
    new.copy_lists(old)
    new.run("restore", old.archive, "--yes")
    new.journal.unlink()

    new.run(code=STOPPED.format(path=str(old.archive)), fails=True)
    assert new.run(code=STANDS).strip() == OPEN

    new.run("restore", old.archive, "--yes")
    assert new.run(code=STANDS).strip() == CLOSED


@pytest.fixture
def home(settings, tmp_path):
    settings.HOME = tmp_path
    return tmp_path


@pytest.mark.django_db(transaction=True)
def test_running_worker_stops_and_nothing_is_ready_while_a_restore_is_unfinished(home):
    worker = Worker()
    (home / UNFINISHED).touch()

    with pytest.raises(backups.DomainError) as raised:
        worker.run()

    assert raised.value.code == "restore_unfinished"
    assert [fault.code for fault in find_faults()][:1] == ["restore_unfinished"]
    assert [result.check for result in run_checks() if result.code == "restore_unfinished"] == ["restore"]


@pytest.mark.django_db
def test_what_another_machine_erased_comes_into_the_list_of_this_one(home, django_capture_on_commit_callbacks):
    def erase(name):  # elsewhere: nothing is written here
        profile, _ = get_or_create_by_identity("auth0", name)
        return erase_customer(profile)

    first, copier = erase("chika0123456789"), ListCopier()
    copier.run()
    second = erase("dov0123456789")
    copier.run()
    copier.run()
    ListCopier().run()

    assert [each.erasure.pk for each in in_file(list_path())] == [first.pk, second.pk]


ENTRY = {
    "id": str(uuid.uuid4()),
    "at": "2026-11-01T12:00:00+00:00",
    "mode": "erased",
    "who": ["a1"],
    "since": None,
    "until": None,
}


@pytest.mark.parametrize(
    "entry",
    [
        {**ENTRY, "at": None},
        {**ENTRY, "at": "2026-11-01T12:00:00"},
        {**ENTRY, "mode": "forgotten"},
        {**ENTRY, "mode": "period", "until": "2026-11-01T12:00:00+00:00"},
        {**ENTRY, "who": [None]},
        {**ENTRY, "who": 7},
        {key: value for key, value in ENTRY.items() if key != "since"},
        b"\xff\xfe",
    ],
    ids=range(8),
)
def test_entry_that_would_erase_something_else_is_refused(tmp_path, entry):
    """A period without its beginning must not become the whole customer."""
    damaged = entry if isinstance(entry, bytes) else json.dumps(entry).encode()
    path = tmp_path / FILE
    path.write_bytes(json.dumps(ENTRY).encode() + b"\n" + damaged + b"\n")

    with pytest.raises(Invalid) as raised:
        in_file(path)

    assert raised.value.code == "erasures_unreadable"
    assert "Line 2 of" in raised.value.message


@pytest.mark.django_db
def test_entry_after_one_that_was_cut_off_has_a_line_of_its_own(home):
    Erasure.objects.create(asked_by="api")
    list_path().write_text('{"id": "cut o')

    ListCopier().run()

    assert [line[:6] for line in list_path().read_text().splitlines()] == ['{"id":', '{"id":']


@pytest.mark.parametrize("step", ["copyfile", "unlink", "replace"])
def test_sqlite_restore_that_fails_at_any_step_leaves_a_whole_database(tmp_path, monkeypatch, step):
    """The old rows are in the log alone, which a restore removes."""
    name, source = tmp_path / "regulars.sqlite3", tmp_path / "backup.sqlite3"
    for path, value in ((name, "old"), (source, "new")):
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("CREATE TABLE kept (value)")
        writer.execute("INSERT INTO kept VALUES (?)", [value])
        if path == source:
            writer.close()
    monkeypatch.setitem(backups.connection.settings_dict, "NAME", str(name))

    def fail(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups.shutil if step == "copyfile" else Path, step, fail)
    with pytest.raises(OSError, match="No space left"):
        backups._load_sqlite(source)()
    monkeypatch.undo()

    copy = tmp_path / "copy.sqlite3"  # as after a power cut: only what is in the file and its log
    copy.write_bytes(name.read_bytes())
    log = name.with_name(name.name + "-wal")
    if log.exists():
        copy.with_name(copy.name + "-wal").write_bytes(log.read_bytes())
    assert sqlite3.connect(copy).execute("SELECT value FROM kept").fetchall() == [("old",)]
    writer.close()
