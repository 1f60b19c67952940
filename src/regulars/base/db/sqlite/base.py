"""Writers of one process take turns at a lock, before they take turns at SQLite's.

Who meets SQLite's own lock sleeps, looks again, sleeps longer; with eight threads of one process the file lies idle most of
that time. At a lock of ours the next one wakes when the last one is done. Between processes SQLite's lock stays what counts.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from django.db.backends.sqlite3 import base

WAITS = 20.0  # seconds, as SQLite itself; in vain, it says so in its own words

_turns = Lock()


class DatabaseWrapper(base.DatabaseWrapper):
    """The turn begins with a transaction (all of ours are IMMEDIATE: they write) and ends with it."""

    _has_turn = False

    def _start_transaction_under_autocommit(self) -> None:
        self._has_turn = self._has_turn or _turns.acquire(timeout=WAITS)
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._end_turn()
            raise

    def _commit(self) -> Any:
        done = super()._commit()  # type: ignore[misc]
        self._end_turn()
        return done

    def _rollback(self) -> Any:
        try:
            return super()._rollback()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            _turns.release()
