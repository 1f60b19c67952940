"""Databases with the tables of this version and nothing in them: migrated once in a run, and copied after that.

Migrations take four of the six seconds of a set-up. Real first starts are those of `tests/server/test_demo.py` and
`tests/serving/test_home_folder.py`.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

DATABASE = "regulars.sqlite3"


def copy_tables(home: Path) -> None:
    """Put a migrated SQLite database into a home folder that has none."""
    if (home / DATABASE).exists():
        return
    with _once("sqlite") as (folder, is_made):
        if not is_made:
            _migrate(folder)
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / DATABASE, home / DATABASE)


def postgres_with_tables(url: str) -> str:
    """Return the name of a migrated database of this PostgreSQL, to be the template of others."""
    name = _template()
    with _once("postgresql") as (folder, is_made):
        if not is_made:
            with psycopg.connect(url, autocommit=True) as admin:
                admin.execute(f'CREATE DATABASE "{name}"')
            _migrate(folder, DATABASE_URL=urlunsplit(urlsplit(url)._replace(path=f"/{name}")))
    return name


def forget_tables() -> None:
    """Remove the migrated databases at the end of a run."""
    url = os.environ.get("DATABASE_URL", "")
    if (_tables() / "postgresql.filled").exists() and url.startswith("postgres"):
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{_template()}"')
    shutil.rmtree(_tables(), ignore_errors=True)


def _tables() -> Path:
    """Return the folder of this run: in the home of the tests, or, for a benchmark, one that its process removes."""
    return Path(os.environ.get("REGULARS_HOME") or _of_this_process()) / "tables"


@cache
def _of_this_process() -> str:
    made = tempfile.mkdtemp(prefix="regulars-tables-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    atexit.register(forget_tables)
    return made


def _template() -> str:
    return f"tables_of_{_tables().parent.name}"


@contextmanager
def _once(kind: str) -> Iterator[tuple[Path, bool]]:
    """Yield a folder of this run, shared by its processes and held meanwhile, and whether it was filled before."""
    tables = _tables()
    tables.mkdir(exist_ok=True)
    folder, filled = tables / kind, tables / f"{kind}.filled"
    with (tables / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_made = filled.exists()
        yield folder, is_made
        filled.touch()


def _migrate(home: Path, **environment: str) -> None:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("REGULARS_", "DATABASE_"))}
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--verbosity", "0"],
        env={**kept, "DJANGO_SETTINGS_MODULE": "regulars.settings", "REGULARS_HOME": str(home), **environment},
        cwd=home, check=True,
    )  # fmt: skip
    if not environment:
        (home / DATABASE).chmod(0o600)
