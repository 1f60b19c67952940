"""Back up an installation to one file (database and keys) and restore it.

The lake is not in the file. It is written while it would be copied, so a copy never fits the database; everything in it
is in the database too, and a restore writes it anew.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, connections
from django.db.migrations.recorder import MigrationRecorder

from regulars import __version__
from regulars.base import clock
from regulars.base.crypto import key_id
from regulars.base.db.database_version import Migration, newer_migrations
from regulars.base.errors import DomainError, Invalid
from regulars.base.home_folder import KEY, LOCK, UNFINISHED, WORKERS, locked
from regulars.base.jobs.run_jobs import mark_done, record_run
from regulars.consent.erasures import FILE, ListedErasure, in_database, in_file, keep_listed, list_path
from regulars.consent.journal import FILE as JOURNAL
from regulars.consent.journal import fault_in, journal_path, keep_lines, lines_of, readable
from regulars.consent.journal_file import JournalLine, read
from regulars.consent.models import Erasure, JournalEntry
from regulars.serving.storage import fault_of
from regulars.usecases.lake import compare_lake, queue_lake_refill, refill_lake
from regulars.usecases.replay_erasures import replay_erasures
from regulars.usecases.replay_journal import replay_journal

BACKUP = "operations.backup"  # its last run, for `regulars doctor`
MANIFEST = "regulars-backup.json"
DATABASE = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
FILES = (KEY, "credentials.json")


@dataclass(frozen=True)
class Unpacked:
    """A backup in a folder of its own, the key of the installation it is of, and when it was begun (None: older versions)."""

    folder: Path
    key: str
    made_at: dt.datetime | None

    @property
    def database(self) -> Path:
        return self.folder / DATABASE[connection.vendor]


def write_backup(path: Path) -> Iterator[str]:
    """Write a backup atomically. Yields a message for each part.

    Raises `Invalid`: `not_set_up`, `no_pg_dump`, `dump_failed`.
    """
    if MigrationRecorder.Migration._meta.db_table not in connection.introspection.table_names():
        raise Invalid("not_set_up", "The database has no tables, so there is nothing to back up.")
    draft = path.with_name(path.name + ".part")
    made_at = clock.now()
    try:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / DATABASE[connection.vendor]
            _DUMPS[connection.vendor](copy)
            yield f"The database: {copy.stat().st_size:,} bytes."
            _write_archive(draft, copy, made_at)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    record_run(BACKUP)
    yield f"{path} is complete, without the lake, which a restore writes anew. It holds keys and personal data: restrict access to it."


def _write_archive(path: Path, database: Path, made_at: dt.datetime) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        manifest = {
            "version": __version__,
            "database": connection.vendor,
            "key": key_id(settings.SECRET_KEY),
            "made_at": made_at.isoformat(),
        }
        text = json.dumps(manifest).encode()
        entry = tarfile.TarInfo(MANIFEST)
        entry.size, entry.mode = len(text), 0o600
        archive.addfile(entry, io.BytesIO(text))
        archive.add(database, database.name)
        for name in FILES:
            unused = name == KEY and "REGULARS_SECRET_KEY" in os.environ
            if (settings.HOME / name).exists() and not unused:
                archive.add(settings.HOME / name, name)


@dataclass(frozen=True)
class Since:
    """What happened since a backup: lists of erasures and journals of other machines, beside those in the home folder.

    `without_list`, `without_journal`: go on although there is none, or a journal is damaged.
    """

    lists: Sequence[Path] = ()
    without_list: bool = False
    journals: Sequence[Path] = ()
    without_journal: bool = False


def restore_backup(path: Path, since: Since | None = None) -> Iterator[str]:
    """Replace this installation by a backup, then repeat later erasures, and what was decided, deleted and corrected.

    Nothing may run meanwhile. A home with another key is a new machine, where a list of erasures is required; the journal
    has to reach back to the backup everywhere.

    Raises `Invalid`: `not_a_backup`, `other_database`, `other_key`, `backup_is_newer`, `erasures_unreadable`,
    `erasures_missing`, `journal_unreadable`, `journal_altered`, `journal_missing`, `database_in_use`, `no_pg_dump`,
    `dump_failed`; `Conflict("home_in_use")`.
    """
    home, since = Path(settings.HOME), since or Since()
    with locked(home / LOCK), locked(home / WORKERS), tempfile.TemporaryDirectory(dir=home) as folder:
        _refuse_others()
        backup = _unpack(path, Path(folder))
        _refuse_newer(path, backup)
        unfinished = settings.HOME / UNFINISHED
        is_first = not unfinished.exists()
        erasures = [each for file in (list_path(), *since.lists) for each in in_file(file)]
        journals = (journal_path(), *since.journals)
        journal = [line for file in journals for line in read(file, backup.key, damaged=since.without_journal)]
        if is_first:  # otherwise they are in the files already, and the key may be the backup's
            erasures += _erasures_of_database()
            journal += _journal_of_database()
        _refuse_unreadable(erasures, backup.key)
        journal = _journal_for(backup, journal, without=since.without_journal)
        if not (erasures or since.lists or since.without_list) and key_id(settings.SECRET_KEY) != key_id(backup.key):
            raise Invalid(
                "erasures_missing",
                f"This folder knows of no erasure since the backup: it has no {FILE}. Copy that of the machine that the "
                "backup is of here, or name it with --erasures. Erased customers come back with --without-erasures.",
            )
        keep_listed(erasures)
        keep_lines(journal, backup.key, alone=since.without_journal)
        connections.close_all()
        load = _LOADS[connection.vendor](backup.database)
        unfinished.touch(mode=0o600)
        _sync(settings.HOME)
        try:
            load()
        except Invalid:  # it changed nothing, but an earlier one may have
            if is_first:
                unfinished.unlink()
            raise
        for name in FILES:
            if (backup.folder / name).exists():
                _put(backup.folder / name, settings.HOME / name)
        settings.SECRET_KEY = backup.key  # the fingerprints of erasures are made under it
        yield "Database and keys restored."
        call_command("migrate", verbosity=0, interactive=False)
        yield f"{replay_erasures()} customer(s) erased since then are erased again."
        replayed = replay_journal(journal)
        yield f"{replayed.repeated} decision(s), deletion(s) and correction(s) made since then are repeated."
        if replayed.left_out:
            yield f"{replayed.left_out} consent(s) given since then are left out: those customers are asked again."
        yield from _refill()
        unfinished.unlink()
        yield "Start Regulars now."


def _erasures_of_database() -> list[ListedErasure]:
    try:
        return in_database(Erasure.objects.all())
    except DatabaseError:  # a broken database is why people restore
        return []


def _journal_of_database() -> list[JournalLine]:
    try:
        lines = lines_of(JournalEntry.objects.order_by("at"))
    except DatabaseError:  # it may be of an older version
        return []
    # A row does not say its key: this machine may have got another one since, and its journal's lines name theirs.
    return [line for line in lines if not fault_in(line, settings.SECRET_KEY)]


def _journal_for(backup: Unpacked, journal: Sequence[JournalLine], *, without: bool) -> list[JournalLine]:
    """Return the entries of the backup's installation. Refuse a journal that does not reach back to the backup."""
    own = [line for line in journal if line.key == key_id(backup.key)]
    foreign = len({line.id for line in journal if line.who} - {line.id for line in own})
    if foreign and not without:
        raise Invalid(
            "journal_unreadable",
            f"{foreign} entries of {JOURNAL} or the database were written under another key than the backup's, so they are "
            "of another installation. Restore in the folder of the installation that the backup is of, or in a new one, "
            f"with its {JOURNAL}.",
        )
    own = [line for line in own if not fault_in(line, backup.key)] if without else list(readable(own, backup.key))
    begun = min((line.at for line in own if line.kind == JournalEntry.Kind.BEGUN), default=None)
    if not without and (begun is None or backup.made_at is None or begun > backup.made_at):
        raise Invalid(
            "journal_missing",
            f"This folder does not know what customers withdrew or deleted since the backup: its {JOURNAL} begins later, or "
            "is of another installation. Copy that of the machine that the backup is of here, or name it with --journal. "
            "What was withdrawn comes back with --without-journal.",
        )
    return own


def _refuse_unreadable(erasures: Iterable[ListedErasure], key: str) -> None:
    """Refuse a list whose fingerprints fit no customer of the backup, because another key made them."""
    foreign = [each for each in erasures if each.key not in ("", key_id(key))]
    if foreign:
        raise Invalid(
            "erasures_unreadable",
            f"{len(foreign)} erasure(s) in {FILE} or the database name customers under another key than the backup's, so "
            "they cannot be found in it. Restore in the folder of the installation that the backup is of, or in a new "
            f"one, with its {FILE}.",
        )


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


def _unpack(path: Path, folder: Path) -> Unpacked:
    try:
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
        manifest = json.loads((folder / MANIFEST).read_text())
        vendor, made_under = manifest["database"], manifest.get("key", "")
        made_at = dt.datetime.fromisoformat(manifest["made_at"]) if "made_at" in manifest else None
    except (tarfile.TarError, OSError, ValueError, EOFError, KeyError, TypeError, AttributeError):
        raise Invalid("not_a_backup", f"{path.name} is not a complete backup of Regulars.") from None
    if vendor != connection.vendor:
        raise Invalid("other_database", f"The backup is of {vendor}; DATABASE_URL names {connection.vendor}.")
    if not (folder / DATABASE[vendor]).is_file():
        raise Invalid("not_a_backup", f"{path.name} is not a complete backup of Regulars: it has no database.")
    kept = folder / KEY
    # The key from then on: the environment's comes first, then the one in the home folder.
    key = os.environ.get("REGULARS_SECRET_KEY") or (kept.read_text().strip() if kept.exists() else settings.SECRET_KEY)
    if made_under not in ("", key_id(key)):
        raise Invalid(
            "other_key",
            "The backup is of an installation with another key, without which its secrets cannot be read. Set "
            "REGULARS_SECRET_KEY to that key.",
        )
    return Unpacked(folder, key, made_at)


def _refuse_newer(path: Path, backup: Unpacked) -> None:
    """Refuse a database of a newer version: this program would serve it, and overlook what only that one knows."""
    try:
        applied = _MIGRATIONS[connection.vendor](backup.database)
    except sqlite3.Error:
        raise Invalid("not_a_backup", f"{path.name} is no backup of Regulars: its database has no tables.") from None
    if newer := newer_migrations(applied):
        raise Invalid(
            "backup_is_newer",
            f"{path.name} is of a newer version than this program, which has no {newer}. Restore it with that version.",
        )


def _migrations_of_sqlite(database: Path) -> list[Migration]:
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as kept:
        return kept.execute("SELECT app, name FROM django_migrations").fetchall()


def _migrations_of_dump(database: Path) -> list[Migration]:
    """Read the rows in PostgreSQL's text format: id, app, name and time between tabs."""
    text = _run("pg_restore", "--data-only", "--table=django_migrations", "--file=-", str(database))
    rows = [line.split("\t") for line in text.splitlines()]
    return [(row[1], row[2]) for row in rows if len(row) == 4]


def _dump_sqlite(target: Path) -> None:
    """Copy consistently with SQLite's backup API while others write."""
    source = sqlite3.connect(str(connection.settings_dict["NAME"]))
    copy = sqlite3.connect(target)
    try:
        source.backup(copy)
    finally:
        copy.close()
        source.close()


def _load_sqlite(source: Path) -> Callable[[], object]:
    """Copy the database beside the one it replaces, which takes space and time. Returns what exchanges the two."""
    name = Path(str(connection.settings_dict["NAME"]))
    draft = name.with_name(name.name + ".new")
    try:
        shutil.copyfile(source, draft)
        draft.chmod(0o600)
        _sync(draft)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return lambda: _exchange_sqlite(draft, name)


def _exchange_sqlite(draft: Path, name: Path) -> None:
    """Replace the file of the database. Stopped at any point, what is there is a whole database: the old one or the new.

    The log of the old database is brought into its file first. Left beside the new one, it would be applied to that.
    """
    if name.exists():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(name)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for beside in ("-wal", "-shm"):
        name.with_name(name.name + beside).unlink(missing_ok=True)
    draft.replace(name)
    _sync(name.parent)


def _run(program: str, *arguments: str) -> str:
    """Run a PostgreSQL program. Returns what it prints. The password goes by the environment, never by the command line."""
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
    return done.stdout


def _name() -> str:
    return str(connection.settings_dict["NAME"])


def _put(source: Path, target: Path) -> None:
    draft = target.with_name(target.name + ".new")
    shutil.copyfile(source, draft)
    draft.chmod(0o600)
    _sync(draft)
    draft.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_others() -> None:
    """Refuse while another machine uses the same PostgreSQL database: it would serve customers who were erased."""
    if connection.vendor != "postgresql":
        return  # the locks of the home folder say it
    own = connection.settings_dict["OPTIONS"]["application_name"]
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name LIKE 'regulars %%' AND application_name <> %s ORDER BY 1",
                [own],
            )
            others = [str(name).removeprefix("regulars ") for (name,) in cursor.fetchall()]
    except DatabaseError:  # a broken database is why people restore
        return
    if others:
        raise Invalid("database_in_use", f"Regulars runs with this database: {', '.join(others)}. Stop it first.")


_DUMPS: dict[str, Callable[[Path], object]] = {
    "sqlite": _dump_sqlite,
    "postgresql": lambda target: _run("pg_dump", "--format=custom", "--no-owner", f"--file={target}"),
}
_MIGRATIONS: dict[str, Callable[[Path], list[Migration]]] = {
    "sqlite": _migrations_of_sqlite,
    "postgresql": _migrations_of_dump,
}
# What prepares a database of this kind for the exchange, and returns what carries it out.
_LOADS: dict[str, Callable[[Path], Callable[[], object]]] = {
    "sqlite": _load_sqlite,
    "postgresql": lambda source: partial(
        _run, "pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", f"--dbname={_name()}",
        str(source),
    ),
}  # fmt: skip
