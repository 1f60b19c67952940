"""Backup to one file while the server runs; a restore erases again the customers erased since."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile

import pytest

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
COUNT = """
import django; django.setup()
from regulars.profiles.models import Profile
print(sorted(Profile.objects.values_list("user_id", flat=True)))
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

    def execute(*command, code="", fails=False):
        words = ["-c", code] if code else ["-m", "regulars.cli.__main__", *map(str, command)]
        done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=120)
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    execute("setup", "--port", "32400")
    execute(code=CUSTOMER)
    execute.home = home
    return execute


@pytest.fixture(scope="module")
def archive(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "yesterday.tar.gz"
    run("backup", path)
    return path


def test_a_backup_has_database_lake_and_keys_and_only_its_owner_reads_it(archive):
    with tarfile.open(archive) as kept:
        names = kept.getnames()

    assert {"regulars-backup.json", "database.sqlite3", "secret.key", "credentials.json"} <= set(names)
    assert any(name.startswith("lake/views/_delta_log") for name in names)
    assert archive.stat().st_mode & 0o777 == 0o600


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


def test_changed_ledger_is_named_at_its_first_broken_link(run):
    assert "hold" in run("consent", "verify")
    run(code=TAMPER)

    output = run("consent", "verify", fails=True)

    assert "BROKEN" in output
    assert "auth0|dov0123456789" in output
