"""A machine: a home folder of its own, and the commands in it as processes."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg

from regulars.consent.erasures import FILE
from regulars.consent.journal import FILE as JOURNAL
from tests.tables import copy_tables


class Machine:
    """A home folder of its own, and the commands in it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("REGULARS_", "DATABASE_"))}
        self.home = folder / "home"
        self.environment = {**kept, "REGULARS_HOME": str(self.home), "DJANGO_SETTINGS_MODULE": "regulars.settings"}
        self.environment |= environment

    def run(self, *command: object, code: str = "", fails: bool = False) -> str:
        words = ["-c", code] if code else ["-m", "regulars.cli.__main__", *map(str, command)]
        done = subprocess.run(
            [sys.executable, *words], env=self.environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def set_up(self, *options: str) -> None:
        """Set it up over tables that are copied; its database on PostgreSQL has them from `own_database`."""
        if "DATABASE_URL" not in self.environment:
            copy_tables(self.home)
        self.run("setup", *options)

    def execute(self, sql: str, *parameters: object) -> None:
        """Write to its database from this process, which is sooner done than by one of its own."""
        if url := self.environment.get("DATABASE_URL"):
            with psycopg.connect(url) as connection:
                connection.execute(sql.replace("?", "%s"), parameters)
            return
        with closing(sqlite3.connect(self.home / "regulars.sqlite3")) as file, file:
            file.execute(sql, parameters)

    @property
    def list(self) -> Path:
        return self.home / FILE

    @property
    def journal(self) -> Path:
        return self.home / JOURNAL

    def copy_lists(self, other: Machine) -> None:
        """Copy what another machine knows, as `backups.md` says it."""
        self.list.write_bytes(other.list.read_bytes())
        self.journal.write_bytes(other.journal.read_bytes())


def machine_like(home: Path, folder: Path, **environment: str) -> Machine:
    machine = Machine(folder, **environment)
    shutil.copytree(home, machine.home)
    return machine
