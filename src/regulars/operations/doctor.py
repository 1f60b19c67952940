"""Checks of an installation, for `regulars doctor`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection

from regulars.accounts.breached import is_listed
from regulars.accounts.models import Account
from regulars.base.email_address import canonical_email
from regulars.base.errors import DomainError
from regulars.base.home_folder import OTHERS
from regulars.base.jobs.models import Job
from regulars.base.lake.tables import check_tables
from regulars.events.models import InboxItem
from regulars.serving.readiness import database_faults, restore_faults
from regulars.serving.storage import StorageFault, fault_of, folder_faults
from regulars.usecases.browsers import crowded_profiles
from regulars.usecases.lake import TableComparison, compare_lake

CREDENTIALS = "credentials.json"
NAMED = 3  # ids in one line


@dataclass(frozen=True)
class CheckResult:
    passed: bool
    message: str


def run_checks() -> Iterator[CheckResult]:
    """Yield one result per check, disks and database first: the other checks need them."""
    folders = list(folder_faults())
    yield from (CheckResult(False, _line(fault)) for fault in folders)
    if not folders:
        yield CheckResult(True, "folders of home, database and lake: writable")
    faults = [*restore_faults(), *database_faults()]
    yield from (CheckResult(False, _line(fault)) for fault in faults)
    if faults:
        return
    yield CheckResult(True, f"database ({connection.vendor}): ready")
    for check in (_private, _jobs, _inbox, _crowds, _lake, _addresses, _breached_passwords):
        try:
            result = check()
        except (DomainError, OSError, DatabaseError) as error:
            fault = fault_of(error)
            if fault is None:
                raise
            result = CheckResult(False, _line(fault))
        if result:
            yield result


def _line(fault: StorageFault) -> str:
    return f"{fault.message} ({fault.code})"


def _private() -> CheckResult:
    """Check that home, database and credentials are their owner's alone."""
    credentials = settings.HOME / CREDENTIALS
    if not credentials.exists():
        return CheckResult(False, f"{credentials} is missing; `regulars setup` writes it")
    wanted = [Path(settings.HOME), credentials]
    if connection.vendor == "sqlite":
        wanted.append(Path(str(connection.settings_dict["NAME"])))
    wide = [str(path) for path in wanted if path.stat().st_mode & OTHERS]
    if wide:
        return CheckResult(
            False, f"open to other users: {', '.join(wide)}. `regulars setup` closes them (home_not_private)"
        )
    return CheckResult(True, f"{settings.HOME}, its database and {CREDENTIALS} are private")


def _jobs() -> CheckResult:
    failed = Job.objects.filter(state=Job.State.FAILED).count()
    waiting = Job.objects.filter(state=Job.State.WAITING).count()
    return CheckResult(not failed, f"jobs: {waiting} waiting, {failed} failed")


def _inbox() -> CheckResult:
    failed = InboxItem.objects.filter(rejected__startswith="failed:").count()
    waiting = InboxItem.objects.filter(processed_at=None).count()
    return CheckResult(not failed, f"inbox: {waiting} messages waiting, {failed} failed")


def _crowds() -> CheckResult | None:
    """Name ids that gather browsers. No fault of the installation, and anybody can cause it: the check passes."""
    crowded = crowded_profiles()
    number = crowded.count()
    if not number:
        return None
    named = ", ".join(each.profile.user_id for each in crowded[:NAMED])
    more = f" and {number - NAMED} more" if number > NAMED else ""
    return CheckResult(
        True, f"events: {named}{more} gathered too many browsers and join no more; see Sources (too_many_browsers)"
    )


def _lake() -> CheckResult:
    """Compare the lake with the database, again when they differ: workers may be writing."""
    check_tables()
    for pause in (0.5, 1.0, None):
        tables = compare_lake()
        wrong = [table for table in tables if not table.agrees]
        if not wrong or pause is None:
            break
        time.sleep(pause)
    if wrong:
        found = ", ".join(_difference(table) for table in wrong)
        return CheckResult(False, f"lake: {found}. Run `regulars lake refill` (lake_differs)")
    pending = max(table.pending for table in tables)
    late = f", {pending} deletions or rewrites waiting" if pending else ""
    return CheckResult(True, f"lake: {', '.join(f'{table.rows} {table.name}' for table in tables)}{late}")


def _difference(table: TableComparison) -> str:
    copies = f", {table.rows - table.distinct} of them copies" if table.rows > table.distinct else ""
    return f"{table.rows} {table.name}{copies}, for {table.least} in the database"


def _addresses() -> CheckResult | None:
    """Name accounts whose address another account has in another spelling: an upgrade leaves both."""
    accounts = Account.objects.exclude(email="").order_by("pk").values_list("key", "email").iterator()
    keys = [key for key, email in accounts if not email.isascii() and canonical_email(email) != email]
    if not keys:
        return None
    named = ", ".join(keys[:10]) + (" …" if len(keys) > 10 else "")
    return CheckResult(
        False, f"addresses: another account has that of {named} in another spelling; delete one (address_twice)"
    )


def _breached_passwords() -> CheckResult | None:
    if not settings.BREACHED_PASSWORDS:
        return None
    path = Path(settings.BREACHED_PASSWORDS)
    try:
        is_listed("password", path)
    except OSError as fault:
        return CheckResult(False, f"breached passwords: {path} cannot be read: {fault.strerror}")
    return CheckResult(True, f"breached passwords: {path}")
