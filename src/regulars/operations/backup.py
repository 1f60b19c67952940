"""Back up an installation to one file (database and keys) and restore it.

The lake is not in the file. It is written while it would be copied, so a copy never fits the database; everything in it
is in the database too, and a restore writes it anew.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, connections
from django.db.migrations.recorder import MigrationRecorder

from regulars import __version__
from regulars.base.errors import DomainError, Invalid
from regulars.base.home_folder import UNFINISHED
from regulars.base.jobs.run_jobs import mark_done
from regulars.consent.erasures import keep_recorded, recorded_erasures
from regulars.serving.storage import fault_of
from regulars.usecases.lake import compare_lake, queue_lake_refill, refill_lake
from regulars.usecases.replay_erasures import replay_erasures

MANIFEST = "regulars-backup.json"
DATABASE = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
FILES = ("secret.key", "credentials.json")


def write_backup(path: Path) -> Iterator[str]:
    """Write a backup atomically. Yields a message for each part.

    Raises `Invalid`: `not_set_up`, `no_pg_dump`, `dump_failed`.
    """
    if MigrationRecorder.Migration._meta.db_table not in connection.introspection.table_names():
        raise Invalid("not_set_up", "The database has no tables, so there is nothing to back up.")
    draft = path.with_name(path.name + ".part")
    try:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / DATABASE[connection.vendor]
            _DUMPS[connection.vendor](copy)
            yield f"The database: {copy.stat().st_size:,} bytes."
            _write_archive(draft, copy)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    yield f"{path} is complete, without the lake, which a restore writes anew. It holds keys and personal data: restrict access to it."


def _write_archive(path: Path, database: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        text = json.dumps({"version": __version__, "database": connection.vendor}).encode()
        entry = tarfile.TarInfo(MANIFEST)
        entry.size, entry.mode = len(text), 0o600
        archive.addfile(entry, io.BytesIO(text))
        archive.add(database, database.name)
        for name in FILES:
            if (settings.HOME / name).exists():
                archive.add(settings.HOME / name, name)


def restore_backup(path: Path) -> Iterator[str]:
    """Replace this installation by a backup, then repeat later erasures. Nothing may run meanwhile.

    Raises `Invalid`: `not_a_backup`, `other_database`, `home_in_use`, `no_pg_dump`, `dump_failed`.
    """
    with _locked_home(), tempfile.TemporaryDirectory(dir=settings.HOME) as folder:
        unpacked = Path(folder)
        _unpack(path, unpacked)
        try:
            erasures = recorded_erasures()
        except DatabaseError:  # a broken database is why people restore
            erasures = []
        keep_recorded(erasures)
        connections.close_all()
        unfinished = settings.HOME / UNFINISHED
        unfinished.touch(mode=0o600)
        try:
            _LOADS[connection.vendor](unpacked / DATABASE[connection.vendor])
        except Invalid:  # it changed nothing
            unfinished.unlink()
            raise
        for name in FILES:
            if (unpacked / name).exists():
                _put(unpacked / name, settings.HOME / name)
        yield "Database and keys restored."
        call_command("migrate", verbosity=0, interactive=False)
        yield f"{replay_erasures()} customer(s) erased since then are erased again."
        yield from _refill()
        unfinished.unlink()
        yield "Start Regulars now."


def _refill() -> Iterator[str]:
    """Write the lake from the restored database. When that fails now, the worker does it after the start."""
    job = queue_lake_refill()
    try:
        refill_lake({})
    except (DomainError, OSError) as error:
        fault = fault_of(error)
        yield f"The lake cannot be written now; the worker will try. {fault.message} ({fault.code})" if fault else ""
        return
    mark_done([job.pk])
    counts = ", ".join(f"{table.rows} {table.name}" for table in compare_lake())
    yield f"Lake written anew: {counts}."


def _unpack(path: Path, folder: Path) -> None:
    try:
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
        manifest = json.loads((folder / MANIFEST).read_text())
    except (tarfile.TarError, OSError, ValueError, EOFError):
        raise Invalid("not_a_backup", f"{path.name} is not a complete backup of Regulars.") from None
    if manifest["database"] != connection.vendor:
        raise Invalid(
            "other_database", f"The backup is of {manifest['database']}; DATABASE_URL names {connection.vendor}."
        )


def _dump_sqlite(target: Path) -> None:
    """Copy consistently with SQLite's backup API while others write."""
    source = sqlite3.connect(str(connection.settings_dict["NAME"]))
    copy = sqlite3.connect(target)
    try:
        source.backup(copy)
    finally:
        copy.close()
        source.close()


def _load_sqlite(source: Path) -> None:
    name = Path(str(connection.settings_dict["NAME"]))
    for beside in ("-wal", "-shm"):
        name.with_name(name.name + beside).unlink(missing_ok=True)
    _put(source, name)


def _run(program: str, *arguments: str) -> None:
    """Run a PostgreSQL program. The password goes by the environment, never by the command line."""
    if shutil.which(program) is None:
        raise Invalid("no_pg_dump", f"{program} is not installed. It is part of the PostgreSQL client.")
    configured = connection.settings_dict
    login = {
        "PGHOST": configured["HOST"],
        "PGPORT": configured["PORT"],
        "PGUSER": configured["USER"],
        "PGPASSWORD": configured["PASSWORD"],
    }
    environment = {**os.environ, **{key: str(value) for key, value in login.items() if value}, "PGDATABASE": _name()}
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise Invalid(
            "dump_failed", f"{program} failed: {done.stderr.strip().splitlines()[-1:] or ['no reason given']}"
        )


def _name() -> str:
    return str(connection.settings_dict["NAME"])


def _put(source: Path, target: Path) -> None:
    shutil.copyfile(source, target.with_name(target.name + ".new"))
    target.with_name(target.name + ".new").chmod(0o600)
    target.with_name(target.name + ".new").replace(target)


@contextmanager
def _locked_home() -> Iterator[None]:
    """Hold the lock of `regulars start`, so that no running installation loses its database."""
    with (settings.HOME / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Invalid("home_in_use", "Regulars is running with this home folder. Stop it first.") from None
        yield


_DUMPS: dict[str, Callable[[Path], None]] = {
    "sqlite": _dump_sqlite,
    "postgresql": lambda target: _run("pg_dump", "--format=custom", "--no-owner", f"--file={target}"),
}
_LOADS: dict[str, Callable[[Path], None]] = {
    "sqlite": _load_sqlite,
    "postgresql": lambda source: _run(
        "pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", f"--dbname={_name()}", str(source)
    ),
}
