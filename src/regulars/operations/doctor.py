"""What an operator asks first when something is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection

from regulars.accounts.breached import is_listed
from regulars.base.jobs.models import Job
from regulars.base.lake.tables import open_table
from regulars.events.models import InboxItem
from regulars.serving.health import is_ready

CREDENTIALS = "credentials.json"


@dataclass(frozen=True)
class Finding:
    fine: bool
    sentence: str


def examine() -> Iterator[Finding]:
    """One finding per thing looked at, the database first: without it the rest cannot be seen."""
    status, _, body = is_ready()
    yield Finding(status == 200, f"database ({connection.vendor}): {body.decode()}")
    if status != 200:
        return
    yield _credentials()
    yield _dead_jobs()
    yield _inbox()
    yield _lake()
    if settings.BREACHED_PASSWORDS:
        yield _breached_passwords()


def _credentials() -> Finding:
    path = settings.HOME / CREDENTIALS
    if not path.exists():
        return Finding(False, f"{path} is missing; `regulars setup` writes it")
    private = path.stat().st_mode & 0o077 == 0
    return Finding(private, f"{path} is {'private' if private else 'readable by others: chmod 600'}")


def _dead_jobs() -> Finding:
    dead = Job.objects.filter(state=Job.State.DEAD).count()
    waiting = Job.objects.filter(state=Job.State.WAITING).count()
    return Finding(not dead, f"jobs: {waiting} waiting, {dead} given up")


def _inbox() -> Finding:
    failed = InboxItem.objects.filter(rejected__startswith="failed:").count()
    waiting = InboxItem.objects.filter(processed_at=None).count()
    return Finding(not failed, f"inbox: {waiting} messages waiting, {failed} that nobody could read")


def _lake() -> Finding:
    try:
        versions = [
            f"{name} at version {table.version()}" for name in ("events", "views") if (table := open_table(name))
        ]
    except (OSError, DatabaseError) as fault:
        return Finding(False, f"lake: {type(fault).__name__}")
    return Finding(True, f"lake: {', '.join(versions) or 'empty'}")


def _breached_passwords() -> Finding:
    path = Path(settings.BREACHED_PASSWORDS)
    try:
        is_listed("password", path)
    except OSError as fault:
        return Finding(False, f"breached passwords: {path} cannot be read: {fault.strerror}")
    return Finding(True, f"breached passwords: {path}")
