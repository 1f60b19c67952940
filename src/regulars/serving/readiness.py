"""Readiness: whether requests can be answered and their data kept, for `/readyz` and `regulars doctor`.

A fault here is for people to solve, not for an orchestrator: `/healthz` stays *alive*, because a new process would
find the same full disk.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from regulars.accounts.models import StoredSession
from regulars.base.db.usable_database import refuse_half_restored_database, refuse_newer_database
from regulars.base.errors import DomainError
from regulars.base.home_folder import refuse_unfinished_restore

from .storage import StorageFault, fault_of, storage_faults

CACHE_SECONDS = 2.0  # `/readyz` is public, and each check writes
WAIT_SECONDS = 5.0

log = logging.getLogger("regulars.serving")


def find_faults() -> list[StorageFault]:
    """Return what is wrong with this installation; empty when it is ready."""
    return [*restore_faults(), *database_faults(), *storage_faults()]


def restore_faults() -> list[StorageFault]:
    """Look for a restore that is under way or was stopped: customers erased since the backup may be back."""
    try:
        refuse_unfinished_restore(settings.HOME)
        refuse_half_restored_database()
    except DomainError as error:
        return [StorageFault(error.code, error.message)]
    except DatabaseError:
        return []  # what is wrong with it is named by `database_faults`
    return []


def database_faults() -> list[StorageFault]:
    """Check that the database answers, has the tables of this version, and takes a row, which is taken back."""
    try:
        loader = MigrationLoader(connection)
        found = _version_faults(loader)
        if not found:
            with transaction.atomic():
                key = secrets.token_hex(16)
                StoredSession.objects.create(session_key=key, session_data="", expire_date=timezone.now())
                transaction.set_rollback(True)
    except (DatabaseError, OSError) as error:
        return [fault_of(error) or StorageFault("database_unreachable", str(error))]
    return found


def _version_faults(loader: MigrationLoader) -> list[StorageFault]:
    applied = set(loader.applied_migrations)
    if not applied:
        return [StorageFault("not_set_up", "Tables are missing. Run `regulars setup`.")]
    found = []
    if set(loader.graph.nodes) - applied:
        found.append(StorageFault("database_older", "The database is older than this program. Run `regulars setup`."))
    try:
        refuse_newer_database()
    except DomainError as error:
        found.append(StorageFault(error.code, error.message))
    return found


class Readiness:
    """Checks in one thread of its own, at most once in `CACHE_SECONDS`, however many ask."""

    def __init__(self) -> None:
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="readiness")
        self.check: asyncio.Future[list[StorageFault]] | None = None
        self.checked_at = 0.0

    async def answer(self) -> tuple[HTTPStatus, bytes]:
        """Return the status and body of `/readyz`."""
        if self.check is None or (self.check.done() and time.monotonic() - self.checked_at > CACHE_SECONDS):
            self.check = asyncio.get_running_loop().run_in_executor(self.executor, self._run)
        try:
            faults = await asyncio.wait_for(asyncio.shield(self.check), WAIT_SECONDS)
        except TimeoutError:
            faults = [StorageFault("check_slow", f"The checks took longer than {WAIT_SECONDS:.0f} seconds.")]
        status = HTTPStatus.SERVICE_UNAVAILABLE if faults else HTTPStatus.OK
        document = {
            "status": "not_ready" if faults else "ready",
            "faults": [fault.code for fault in faults],  # their messages hold paths, and anyone may ask
        }
        return status, json.dumps(document).encode()

    def close(self) -> None:
        self.executor.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> list[StorageFault]:
        try:
            return find_faults()
        except Exception as error:
            log.exception("a readiness check failed")
            return [StorageFault("check_failed", f"A check ended with {type(error).__name__}.")]
        finally:
            self.checked_at = time.monotonic()
            connection.close()  # the next check finds out whether a new connection is possible
