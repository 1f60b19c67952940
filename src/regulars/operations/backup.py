"""Back up an installation to one file (database and keys) and restore it.

The lake is not in the file. It is written while it would be copied, so a copy never fits the database; everything in it
is in the database too, and a restore writes it anew.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, connections
from django.db.migrations.recorder import MigrationRecorder

from regulars import __version__
from regulars.base import clock
from regulars.base.crypto import key_id
from regulars.base.db.usable_database import (
    MARK,
    Migration,
    is_half_restored,
    mark_half_restored,
    mark_whole,
    newer_migrations,
)
from regulars.base.errors import Conflict, DomainError, Invalid
from regulars.base.home_folder import KEY, LOCK, UNFINISHED, WORKERS, locked
from regulars.base.jobs.run_jobs import mark_done, record_run
from regulars.consent.erasures import FILE, ListedErasure, in_database, in_file, keep_listed, list_path
from regulars.consent.journal import FILE as JOURNAL
from regulars.consent.journal import fault_in, journal_path, keep_lines, lines_of, readable
from regulars.consent.journal_file import JournalLine, read
from regulars.consent.models import Erasure, JournalEntry
from regulars.serving.storage import fault_of
from regulars.serving.supervise import end_with_parent
from regulars.usecases.lake import compare_lake, queue_lake_refill, refill_lake
from regulars.usecases.replay_erasures import replay_erasures
from regulars.usecases.replay_journal import replay_journal

from .scratch import CREDENTIALS, MANIFEST, draft_of, leftovers, leftovers_of_restore, remove, scratch_folder

BACKUP = "operations.backup"  # its last run, for `regulars doctor`
PART = ".part"  # of a backup that is being written
DATABASE = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
FILES = (KEY, CREDENTIALS)


# All tables of Regulars and its libraries, also those of a newer version: they begin with the name of their app.
DROP_TABLES = """
DO $$ DECLARE name text; BEGIN
    IF to_regclass('django_migrations') IS NOT NULL THEN
        FOR name IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = current_schema()
            AND EXISTS (SELECT FROM django_migrations WHERE starts_with(tablename, app || '_'))
        LOOP EXECUTE 'DROP TABLE ' || name || ' CASCADE'; END LOOP;
    END IF;
END $$;
"""


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

    Its copy of the database is made beside it, where the operator has chosen the space. Raises `Invalid`: `not_set_up`,
    `no_pg_dump`, `dump_failed`; `Conflict("backup_under_way")`.
    """
    if MigrationRecorder.Migration._meta.db_table not in connection.introspection.table_names():
        raise Invalid("not_set_up", "The database has no tables, so there is nothing to back up.")
    draft = path.with_name(path.name + PART)
    made_at = clock.now()
    remove([*leftovers(path.parent), *_unfinished_archives(path.parent)])
    with _draft_archive(draft) as archive, scratch_folder(path.parent) as folder:
        copy = folder / DATABASE[connection.vendor]
        _DUMPS[connection.vendor](copy)
        yield f"The database: {copy.stat().st_size:,} bytes."
        _write_archive(archive, copy, made_at)
        draft.replace(path)
        _sync(path.parent)
    record_run(BACKUP)
    yield f"{path} is complete, without the lake, which a restore writes anew. It holds keys and personal data: restrict access to it."


@contextmanager
def _draft_archive(path: Path) -> Iterator[BinaryIO]:
    """Open the draft of a backup for this process alone, and remove it unless it got another name.

    Raises `Conflict("backup_under_way")`.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict("backup_under_way", f"Another backup is writing {path}. Wait for it.") from None
        file.truncate()
        try:
            yield file
        finally:
            path.unlink(missing_ok=True)


def _unfinished_archives(folder: Path) -> list[Path]:
    """Return drafts of backups that no process writes any more, as a kill leaves them; never a file of others."""
    return [path for path in folder.glob(f"*{PART}") if path.is_file() and _is_abandoned(path)]


def _is_abandoned(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with tarfile.open(fileobj=file, mode="r|gz") as archive:
                first = archive.next()
        except (OSError, EOFError, zlib.error, tarfile.TarError):
            return False
    return first is not None and first.name == MANIFEST


def _write_archive(file: BinaryIO, database: Path, made_at: dt.datetime) -> None:
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
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
    file.flush()
    os.fsync(file.fileno())


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
    with locked(home / LOCK), locked(home / WORKERS):
        _refuse_others()
        remove(leftovers_of_restore())
        with scratch_folder(home) as folder:
            yield from _restore(path, folder, since)


def _restore(path: Path, folder: Path, since: Since) -> Iterator[str]:
    backup = _unpack(path, folder)
    _refuse_newer(path, backup)
    is_first = not (settings.HOME / UNFINISHED).exists()
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
    _exchange(backup)
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
    mark_whole()
    (settings.HOME / UNFINISHED).unlink()
    _sync(settings.HOME)
    yield "Start Regulars now."


def _exchange(backup: Unpacked) -> None:
    """Mark home folder and database as half restored, and replace the database.

    Whatever then ends this process, nothing serves the database until a restore has come to its end. An exchange that
    changed nothing takes its marks back, but not those of an earlier one.
    """
    mark, was_marked = settings.HOME / UNFINISHED, _was_marked()
    connections.close_all()
    load = _LOADS[connection.vendor](backup.database)
    mark.touch(mode=0o600)
    _sync(settings.HOME)
    try:
        if connection.vendor == "postgresql":
            with contextlib.suppress(DatabaseError):  # a broken database is why people restore
                mark_half_restored()
            _refuse_others()  # again: who connects from now on sees the mark
            connections.close_all()
        load()
    except Invalid:
        if not was_marked:
            with contextlib.suppress(DatabaseError):
                mark_whole()
            mark.unlink()
        raise


def _was_marked() -> bool:
    try:
        return (settings.HOME / UNFINISHED).exists() or is_half_restored()
    except DatabaseError:
        return False


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
    draft = draft_of(name)
    try:
        with contextlib.closing(sqlite3.connect(source)) as copy, copy:
            copy.execute(MARK)
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
    with _begun(program, *arguments, stderr=subprocess.PIPE) as process:
        output, errors = process.communicate()
    _refuse_failed(program, process.returncode, errors)
    return output.decode()


def _begun(program: str, *arguments: str, stderr: int | IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a PostgreSQL program, which ends with this process and is known as Regulars' to a restore."""
    if shutil.which(program) is None:
        raise Invalid("no_pg_dump", f"{program} is not installed. It is part of the PostgreSQL client.")
    configured = connection.settings_dict
    login = {
        "PGHOST": configured["HOST"],
        "PGPORT": configured["PORT"],
        "PGUSER": configured["USER"],
        "PGPASSWORD": configured["PASSWORD"],
        "PGDATABASE": configured["NAME"],
        "PGAPPNAME": configured["OPTIONS"]["application_name"],
    }
    environment = {**os.environ, **{key: str(value) for key, value in login.items() if value}}
    return subprocess.Popen(  # noqa: S603
        [program, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        preexec_fn=end_with_parent,
    )


def _refuse_failed(program: str, code: int, errors: bytes) -> None:
    if code:
        lines = errors.decode(errors="replace").strip().splitlines()
        raise Invalid("dump_failed", f"{program} failed: {lines[-1] if lines else 'no reason given'}")


def _load_postgresql(source: Path) -> None:
    """Replace the tables in one transaction, which is committed only when the dump was read to its end.

    `pg_restore` alone drops what the dump has, and fails at tables of a newer version that refer to it.
    """
    with tempfile.TemporaryFile() as errors:
        with (
            _begun("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", stderr=errors) as psql,
            _begun(
                "pg_restore", "--clean", "--if-exists", "--no-owner", "--file=-", str(source), stderr=errors
            ) as dump,
            contextlib.suppress(BrokenPipeError),  # psql has said why it ended
        ):
            assert psql.stdin
            assert dump.stdout
            with psql.stdin as script:
                script.write(f"BEGIN;\n{DROP_TABLES}".encode())
                shutil.copyfileobj(dump.stdout, script)
                if dump.wait() == 0:
                    script.write(b"COMMIT;\n")
        errors.seek(0)
        said = errors.read()
        _refuse_failed("pg_restore", dump.returncode, said)
        _refuse_failed("psql", psql.returncode, said)


def _put(source: Path, target: Path) -> None:
    draft = draft_of(target)
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
    "postgresql": lambda source: partial(_load_postgresql, source),
}
