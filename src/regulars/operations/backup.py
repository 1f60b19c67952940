"""One file with everything an installation is: database, lake, keys. And back."""

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

from regulars import __version__
from regulars.base.errors import Invalid
from regulars.consent.erasures import remember, written_down
from regulars.consent.models import Erasure
from regulars.usecases.replay_erasures import replay_erasures

MANIFEST = "regulars-backup.json"
DATABASE = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
KEPT = ("secret.key", "credentials.json")


def write_backup(path: Path) -> Iterator[str]:
    """Write it beside and move it into place; yields a sentence for each part. Raises `DomainError`: `no_pg_dump`, `dump_failed`."""
    draft = path.with_name(path.name + ".part")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / DATABASE[connection.vendor]
        _DUMPS[connection.vendor](copy)
        yield f"The database: {copy.stat().st_size:,} bytes."
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            _add_manifest(archive)
            archive.add(copy, copy.name)
            for name in KEPT:
                if (settings.HOME / name).exists():
                    archive.add(settings.HOME / name, name)
            yield f"The lake: {_add_lake(archive)}"
    draft.replace(path)
    yield f"{path} is whole. It holds keys and customers: keep it where nobody else reads."


def restore_backup(path: Path) -> Iterator[str]:
    """Replace what is here, then forget again whoever was forgotten since. Nothing may run meanwhile.

    Raises `DomainError`: `not_a_backup`, `other_database`, `home_in_use`, `no_pg_dump`, `dump_failed`.
    """
    with _alone(), tempfile.TemporaryDirectory(dir=settings.HOME) as folder:
        found = Path(folder)
        _unpack(path, found)
        erasures = _erasures_so_far()
        connections.close_all()
        _LOADS[connection.vendor](found / DATABASE[connection.vendor])
        for name in KEPT:
            if (found / name).exists():
                _put(found / name, settings.HOME / name)
        yield "The database and the keys are back."
        if (found / "lake").is_dir() and "://" not in str(settings.LAKE_URL):
            shutil.rmtree(settings.LAKE_URL, ignore_errors=True)
            shutil.move(found / "lake", settings.LAKE_URL)
            yield "The lake is back."
        call_command("migrate", verbosity=0, interactive=False)
        remember(erasures)
        yield f"{replay_erasures()} customer(s) erased since then are erased again. Start Regulars now."


def _erasures_so_far() -> list[Erasure]:
    """From the database that is about to be replaced, if it can still be read, and from the file."""
    try:
        return written_down()
    except DatabaseError:  # a broken database is why people restore
        return []


def _add_manifest(archive: tarfile.TarFile) -> None:
    text = json.dumps({"version": __version__, "database": connection.vendor}).encode()
    entry = tarfile.TarInfo(MANIFEST)
    entry.size, entry.mode = len(text), 0o600
    archive.addfile(entry, io.BytesIO(text))


def _add_lake(archive: tarfile.TarFile) -> str:
    """Logs before files: whatever a copied log names was there before it was named."""
    root = str(settings.LAKE_URL)
    if "://" in root:
        return "is in a bucket, which has copies of its own; it is not in this file."
    files = sorted((p for p in Path(root).rglob("*") if p.is_file()), key=lambda p: "_delta_log" not in p.parts)
    added = 0
    for file in files:
        try:
            archive.add(file, f"lake/{file.relative_to(root)}")
            added += 1
        except FileNotFoundError:  # tidied away meanwhile: no log that was copied names it
            continue
    return f"{added} files."


def _unpack(path: Path, folder: Path) -> None:
    try:
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
        manifest = json.loads((folder / MANIFEST).read_text())
    except (tarfile.TarError, OSError, ValueError, EOFError):
        raise Invalid("not_a_backup", f"{path.name} is not a whole backup of Regulars.") from None
    if manifest["database"] != connection.vendor:
        raise Invalid(
            "other_database", f"The backup is of {manifest['database']}; DATABASE_URL names {connection.vendor}."
        )


def _dump_sqlite(target: Path) -> None:
    """SQLite's own way: a consistent copy while others write."""
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


def _dump_postgresql(target: Path) -> None:
    _run("pg_dump", "--format=custom", "--no-owner", f"--file={target}")


def _load_postgresql(source: Path) -> None:
    _run(
        "pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", f"--dbname={_name()}", str(source)
    )


def _run(program: str, *arguments: str) -> None:
    """PostgreSQL's own programs; the password goes by the environment, never by the command line."""
    if shutil.which(program) is None:
        raise Invalid("no_pg_dump", f"{program} is not installed here; it comes with PostgreSQL's client.")
    here = connection.settings_dict
    said = {"PGHOST": here["HOST"], "PGPORT": here["PORT"], "PGUSER": here["USER"], "PGPASSWORD": here["PASSWORD"]}
    environment = {**os.environ, **{key: str(value) for key, value in said.items() if value}, "PGDATABASE": _name()}
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
def _alone() -> Iterator[None]:
    """The lock of `regulars start`: a running installation must not have its database changed under it."""
    with (settings.HOME / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Invalid("home_in_use", "Regulars runs with this home. Stop it first.") from None
        yield


_DUMPS: dict[str, Callable[[Path], None]] = {"sqlite": _dump_sqlite, "postgresql": _dump_postgresql}
_LOADS: dict[str, Callable[[Path], None]] = {"sqlite": _load_sqlite, "postgresql": _load_postgresql}
