"""A SQLite backend whose writers of one process queue at a lock before they meet SQLite's own.

A writer that meets SQLite's lock sleeps, polls, and sleeps longer; with eight threads of one process the file is idle most
of that time. At this lock the next writer wakes when the last one is done. SQLite's lock still serialises processes.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from django.db.backends.sqlite3 import base

WAIT_SECONDS = 20.0  # as SQLite, which raises its own error afterwards

_writers = Lock()


class DatabaseWrapper(base.DatabaseWrapper):
    """Holds the lock during each transaction. All transactions are IMMEDIATE, so all of them write."""

    _has_lock = False

    def _start_transaction_under_autocommit(self) -> None:
        self._has_lock = self._has_lock or _writers.acquire(timeout=WAIT_SECONDS)
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._release()
            raise

    def _commit(self) -> Any:
        done = super()._commit()  # type: ignore[misc]
        self._release()
        return done

    def _rollback(self) -> Any:
        try:
            return super()._rollback()  # type: ignore[misc]
        finally:
            self._release()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._release()

    def _release(self) -> None:
        if self._has_lock:
            self._has_lock = False
            _writers.release()
