"""A SQLite backend whose writers of one process queue at a lock before they meet SQLite's own.

A writer that meets SQLite's lock sleeps, polls, and sleeps longer; with eight threads of one process the file is idle most
of that time. At this lock the next writer wakes when the last one is done. SQLite's lock still serialises processes.

Its cursors remember how statements are written for SQLite: Django searches the whole text again at each execution.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any

from django.db.backends.sqlite3 import base

WAIT_SECONDS = 20.0  # as SQLite, which raises its own error afterwards
STATEMENTS = 1000
LONGEST_STATEMENT = 8 * 1024  # characters; longer ones have a placeholder for each of many rows, and differ each time

_writers = Lock()


class CursorWrapper(base.SQLiteCursorWrapper):
    """Converts placeholders of the same statement once."""

    def convert_query(self, query: str, *, param_names: list[str] | None = None) -> str:
        if param_names is None and len(query) <= LONGEST_STATEMENT:
            return _with_question_marks(query)
        return str(super().convert_query(query, param_names=param_names))


@lru_cache(maxsize=STATEMENTS)
def _with_question_marks(query: str) -> str:
    return str(base.FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%"))


class DatabaseWrapper(base.DatabaseWrapper):
    """Holds the lock during each transaction. All transactions are IMMEDIATE, so all of them write."""

    _has_lock = False

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=CursorWrapper)

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
