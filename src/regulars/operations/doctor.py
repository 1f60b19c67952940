"""Checks of an installation, for `regulars doctor`."""

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
from regulars.serving.readiness import database_faults

CREDENTIALS = "credentials.json"


@dataclass(frozen=True)
class CheckResult:
    passed: bool
    message: str


def run_checks() -> Iterator[CheckResult]:
    """Yield one result per check, the database first: the other checks need it."""
    faults = database_faults()
    for fault in faults:
        yield CheckResult(False, f"{fault.code}: {fault.message}")
    if faults:
        return
    yield CheckResult(True, f"database ({connection.vendor}) is ready")
    yield _credentials()
    failed = Job.objects.filter(state=Job.State.FAILED).count()
    waiting = Job.objects.filter(state=Job.State.WAITING).count()
    yield CheckResult(not failed, f"jobs: {waiting} waiting, {failed} failed")
    failed = InboxItem.objects.filter(rejected__startswith="failed:").count()
    waiting = InboxItem.objects.filter(processed_at=None).count()
    yield CheckResult(not failed, f"inbox: {waiting} messages waiting, {failed} failed")
    yield _lake()
    if settings.BREACHED_PASSWORDS:
        yield _breached_passwords()


def _credentials() -> CheckResult:
    path = settings.HOME / CREDENTIALS
    if not path.exists():
        return CheckResult(False, f"{path} is missing; `regulars setup` writes it")
    private = path.stat().st_mode & 0o077 == 0
    return CheckResult(private, f"{path} is {'private' if private else 'readable by others: chmod 600'}")


def _lake() -> CheckResult:
    try:
        versions = [
            f"{name} at version {table.version()}" for name in ("events", "views") if (table := open_table(name))
        ]
    except (OSError, DatabaseError) as fault:
        return CheckResult(False, f"lake: {type(fault).__name__}")
    return CheckResult(True, f"lake: {', '.join(versions) or 'empty'}")


def _breached_passwords() -> CheckResult:
    path = Path(settings.BREACHED_PASSWORDS)
    try:
        is_listed("password", path)
    except OSError as fault:
        return CheckResult(False, f"breached passwords: {path} cannot be read: {fault.strerror}")
    return CheckResult(True, f"breached passwords: {path}")
