"""Checks of an installation, for `regulars doctor`."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection

from regulars.accounts.breached import is_listed
from regulars.accounts.models import Account
from regulars.base import clock
from regulars.base.db import write_ahead_log
from regulars.base.db.sqlite.turns import SUFFIX as TURNS
from regulars.base.email_address import canonical_email
from regulars.base.errors import Conflict, DomainError, Invalid
from regulars.base.home_folder import KEY, OTHERS, WORKERS, locked
from regulars.base.jobs.models import FINISHED, OPEN, Job
from regulars.base.lake.tables import check_tables
from regulars.base.lake.upkeep import lake_size
from regulars.consent.bases import without_basis
from regulars.consent.erasures import list_path
from regulars.consent.journal import check_journal, journal_path
from regulars.enrichment.save import stopped_sources
from regulars.events.models import InboxItem
from regulars.profiles.find import DATABASE
from regulars.rules.geoip import NoPlaces, opened
from regulars.rules.models import Rule
from regulars.serving.readiness import database_faults, restore_faults
from regulars.serving.storage import StorageFault, fault_of, folder_faults
from regulars.usecases.browsers import crowded_profiles
from regulars.usecases.compare_documents import recently_mended
from regulars.usecases.lake import TableComparison, compare_lake

from .check_result import CheckResult, fail, ok, warn
from .running_checks import (
    check_address,
    check_backup,
    check_certificate,
    check_lag,
    check_mail,
    check_tasks,
    check_web,
    check_worker,
)
from .scratch import CREDENTIALS, leftovers_of_restore

NAMED = 3  # ids in one line
OLD_PLACES = 365  # days


def run_checks() -> Iterator[CheckResult]:
    """Yield one result per check, disks and database first: the other checks need them."""
    folders = list(folder_faults())
    yield from (_failed("disks", fault) for fault in folders)
    if not folders:
        yield ok("disks", "folders of home, database and lake: writable")
    restoring = restore_faults()
    yield from (_failed("restore", fault) for fault in restoring)
    faults = database_faults()
    yield from (_failed("database", fault) for fault in faults)
    if faults:
        return
    yield ok("database", f"database ({connection.vendor}): ready")
    for name, check in CHECKS.items():
        try:
            result = check()
        except (DomainError, OSError, DatabaseError) as error:
            fault = fault_of(error)
            if fault is None:
                raise
            result = _failed(name, fault)
        if result:
            yield result


def _failed(check: str, fault: StorageFault) -> CheckResult:
    return fail(check, fault.code, fault.message)


def _private() -> CheckResult:
    """Check that home, database and credentials are their owner's alone."""
    credentials = settings.HOME / CREDENTIALS
    if not credentials.exists():
        return fail("private", "credentials_missing", f"{credentials} is missing; `regulars setup` writes it")
    wanted = [Path(settings.HOME), credentials, settings.HOME / KEY, list_path(), journal_path()]
    if connection.vendor == "sqlite":
        name = Path(str(connection.settings_dict["NAME"]))
        wanted += [name.with_name(name.name + beside) for beside in ("", "-wal", "-shm", TURNS)]
    wide = [str(path) for path in wanted if path.exists() and path.stat().st_mode & OTHERS]
    if wide:
        return fail(
            "private", "home_not_private", f"open to other users: {', '.join(wide)}. `regulars setup` closes them"
        )
    return ok("private", f"{settings.HOME}, its database, keys and {CREDENTIALS} are private")


def _write_ahead_log() -> CheckResult | None:
    """Name a write-ahead log of SQLite that cannot become small, because a program reads an old state."""
    path, size = write_ahead_log.log_file(), write_ahead_log.log_bytes()
    if path is None:
        return None
    if size > write_ahead_log.TOO_LARGE:
        sentence = (
            f"{path} has {size:,} bytes: a program reads an old state and does not end. End it, or restart Regulars"
        )
        return warn("log", "log_too_large", sentence)
    return ok("log", f"write-ahead log: {size:,} bytes")


def _leftovers() -> CheckResult | None:
    """Name copies of the database and of keys that a restore left when it was killed."""
    try:
        with locked(settings.HOME / WORKERS, shared=True):  # no restore is under way
            left = leftovers_of_restore()
    except Conflict:
        return None
    if not left:
        return None
    named = ", ".join(str(path) for path in left)
    return warn(
        "leftovers",
        "restore_left_copies",
        f"copies of a restore that was killed: {named}. `regulars setup` removes them",
    )


def _jobs() -> CheckResult:
    failed = Job.objects.filter(FINISHED, state=Job.State.FAILED).count()
    waiting = Job.objects.filter(OPEN, state=Job.State.WAITING).count()
    sentence = f"jobs: {waiting} waiting, {failed} failed"
    return fail("jobs", "jobs_failed", sentence) if failed else ok("jobs", sentence)


def _inbox() -> CheckResult:
    failed = InboxItem.objects.filter(rejected__startswith="failed:").count()
    waiting = InboxItem.objects.filter(processed_at=None).count()
    sentence = f"inbox: {waiting} messages waiting, {failed} failed"
    return fail("inbox", "messages_failed", sentence) if failed else ok("inbox", sentence)


def _crowds() -> CheckResult | None:
    """Name ids that gather browsers. No fault of the installation, and anybody can cause it: a warning."""
    crowded = crowded_profiles()
    number = crowded.count()
    if not number:
        return None
    named = ", ".join(each.profile.user_id for each in crowded[:NAMED])
    more = f" and {number - NAMED} more" if number > NAMED else ""
    return warn(
        "events", "too_many_browsers", f"events: {named}{more} gathered too many browsers and join no more; see Sources"
    )


def _bases() -> CheckResult | None:
    """Count facts without a legal basis. No use shows them, so that it is a warning."""
    number = without_basis().count()
    if not number:
        return None
    return warn(
        "facts",
        "without_basis",
        f"facts: {number:,} have no legal basis, or one that needs a decision and none; no use shows them",
    )


def _sources() -> CheckResult | None:
    """Name sources that are on and asked nothing, because of their purpose."""
    stopped = [each.key for each in stopped_sources()]
    if not stopped:
        return None
    return warn(
        "sources",
        "source_stopped",
        f"sources: {', '.join(stopped)} cannot be asked for the purpose that is chosen. Choose another one under Sources",
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
        return fail("lake", "lake_differs", f"lake: {found}. Run `regulars lake refill`")
    pending = max(table.pending for table in tables)
    late = f", {pending} deletions or rewrites waiting" if pending else ""
    size = lake_size()
    bytes_ = "" if size is None else f"; {_megabytes(size.live)} live, {_megabytes(size.dead)} dead"
    return ok("lake", f"lake: {', '.join(f'{table.rows} {table.name}' for table in tables)}{late}{bytes_}")


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"


def _difference(table: TableComparison) -> str:
    copies = f", {table.rows - table.distinct} of them copies" if table.rows > table.distinct else ""
    return f"{table.rows} {table.name}{copies}, for {table.least} in the database"


def _addresses() -> CheckResult | None:
    """Name accounts whose address another account has, also in another spelling: an upgrade leaves both."""
    accounts = Account.objects.exclude(email="").order_by("pk").values_list("key", "email").iterator()
    keys = [key for key, email in accounts if not email.isascii() and canonical_email(email) != email]
    sign_in = Account.objects.filter(is_staff=False, profile__user_id__startswith=f"{DATABASE}|")
    second = sign_in.filter(address_key=None).exclude(email="").order_by("pk").values_list("key", flat=True)
    keys = list(dict.fromkeys([*keys, *second]))
    if not keys:
        return None
    named = ", ".join(keys[:10]) + (" …" if len(keys) > 10 else "")
    return fail(
        "addresses",
        "address_twice",
        f"addresses: another account has that of {named}, perhaps in another spelling; delete one",
    )


def _documents() -> CheckResult | None:
    """Say what the nightly comparison with the facts had to mend."""
    found = recently_mended()
    if found is None:
        return None
    return warn(
        "documents",
        "documents_differed",
        f"documents: {found.mended:,} of {found.compared:,} customers differed from their facts on {found.at:%Y-%m-%d} "
        f"({', '.join(list(found.fields)[:NAMED])}) and were rebuilt; tell those who maintain Regulars",
    )


def _geoip() -> CheckResult | None:
    """Say which database of places rules see; an installation without rules that look for it needs none."""
    if not Rule.objects.filter(enabled=True, script__contains="geoip").exists():
        return None
    try:
        made = opened().metadata()
    except NoPlaces as fault:
        return warn(
            "geoip",
            fault.code,
            f"{fault.message} Rules that look for the country of a sign-in find none: regulars rules geoip install",
        )
    day = dt.datetime.fromtimestamp(made.build_epoch, dt.UTC).date()
    if (clock.now().date() - day).days > OLD_PLACES:
        return warn(
            "geoip",
            "old_geoip_database",
            f"database of the places of addresses: of {day}; set REGULARS_GEOIP_FILE to a newer one",
        )
    return ok("geoip", f"database of the places of addresses: of {day}")


def _breached_passwords() -> CheckResult | None:
    if not settings.BREACHED_PASSWORDS:
        return None
    path = Path(settings.BREACHED_PASSWORDS)
    try:
        is_listed("password", path)
    except OSError as fault:
        return fail("passwords", "list_unreadable", f"breached passwords: {path} cannot be read: {fault.strerror}")
    return ok("passwords", f"breached passwords: {path}")


def _journal() -> CheckResult:
    """Read the journal of this machine as a restore would."""
    try:
        found = check_journal()
    except Invalid as fault:
        return fail("journal", fault.code, f"journal: {fault.message}")
    if found.missing:
        return warn(
            "journal",
            "journal_behind",
            f"journal: {found.missing} entries are not in {journal_path()} yet; the worker adds them",
        )
    if found.unsealed:
        return warn(
            "journal",
            "journal_unsealed",
            f"journal: of {found.unsealed} of {found.number} entries, which an earlier version wrote, only the encrypted part "
            f"is authenticated. While the database is whole, move {journal_path()} away: the worker writes it anew",
        )
    return ok("journal", f"journal: {found.number} entries")


CHECKS: dict[str, Callable[[], CheckResult | None]] = {
    "log": _write_ahead_log,
    "private": _private,
    "leftovers": _leftovers,
    "web": check_web,
    "worker": check_worker,
    "tasks": check_tasks,
    "queues": check_lag,
    "jobs": _jobs,
    "inbox": _inbox,
    "events": _crowds,
    "facts": _bases,
    "sources": _sources,
    "lake": _lake,
    "journal": _journal,
    "addresses": _addresses,
    "documents": _documents,
    "geoip": _geoip,
    "passwords": _breached_passwords,
    "address": check_address,
    "certificate": check_certificate,
    "mail": check_mail,
    "backup": check_backup,
}
