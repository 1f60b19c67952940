"""Every database in this folder, of whatever age, becomes one of today without losing a customer or a fact."""

from __future__ import annotations

import gzip
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from .make import HERE, SECRET_KEY

DATABASES = sorted(HERE.glob("*.sql.gz"))
KEPT = (
    "accounts_account",
    "consent_consentevent",
    "events_event",
    "profiles_fact",
    "profiles_identity",
    "profiles_profile",
)


@pytest.fixture(params=DATABASES, ids=lambda path: path.name.partition(".")[0])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The home folder of an installation that was last used at the state of the dump."""
    with sqlite3.connect(tmp_path / "regulars.sqlite3") as database:
        database.executescript(gzip.decompress(request.param.read_bytes()).decode())
    return tmp_path


def regulars(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "LAKE_URL")}
    environment |= {"REGULARS_HOME": str(home), "REGULARS_SECRET_KEY": SECRET_KEY, "REGULARS_DEMO": "1"}
    command = [sys.executable, "-m", "regulars.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def counts(home: Path) -> dict[str, int]:
    with sqlite3.connect(home / "regulars.sqlite3") as database:
        return {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in KEPT}


def test_there_is_a_database_to_upgrade() -> None:
    assert DATABASES != []


def test_upgrade_keeps_customers_facts_and_decisions(installation: Path) -> None:
    before = counts(installation)
    assert all(number > 0 for number in before.values())

    done = regulars(installation, "setup", "--demo")

    assert done.returncode == 0, done.stdout + done.stderr
    after = counts(installation)
    assert {table: number for table, number in before.items() if after[table] < number} == {}


def test_upgraded_installation_can_be_used(installation: Path) -> None:
    """The secrets are still readable and the ledger of consent is whole."""
    regulars(installation, "setup", "--demo")

    verified = regulars(installation, "consent", "verify")

    assert verified.returncode == 0, verified.stdout + verified.stderr
