"""A SQLite backend whose writers queue before they meet SQLite's own lock (`turns`).

Its cursors remember how statements are written for SQLite: Django searches the whole text again at each execution.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.sqlite3 import base

from .turns import WriterTurns, turns_of

WAIT_SECONDS = 20.0  # as SQLite, which raises its own error afterwards
STATEMENTS = 1000
LONGEST_STATEMENT = 8 * 1024  # characters; longer ones have a placeholder for each of many rows, and differ each time
WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


class CursorWrapper(base.SQLiteCursorWrapper):
    """Converts placeholders of the same statement once. A statement that writes outside of a transaction has its turn, too."""

    turns: WriterTurns

    def execute(self, query: str, params: Any = None) -> Any:
        if self.connection.in_transaction or not query.startswith(WRITES):
            return super().execute(query, params)
        has_turn = self.turns.take(WAIT_SECONDS)
        try:
            return super().execute(query, params)
        finally:
            if has_turn:
                self.turns.give_back()

    def convert_query(self, query: str, *, param_names: list[str] | None = None) -> str:
        if param_names is None and len(query) <= LONGEST_STATEMENT:
            return _with_question_marks(query)
        return str(super().convert_query(query, param_names=param_names))


@lru_cache(maxsize=STATEMENTS)
def _with_question_marks(query: str) -> str:
    return str(base.FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%"))


class DatabaseWrapper(base.DatabaseWrapper):
    """Holds the turn during each transaction. All transactions are IMMEDIATE, so all of them write."""

    turns: WriterTurns
    _has_turn = False

    def get_new_connection(self, conn_params: Any) -> Any:
        self.turns = turns_of(str(self.settings_dict["NAME"]))
        return super().get_new_connection(conn_params)

    def create_cursor(self, name: str | None = None) -> Any:
        cursor = self.connection.cursor(factory=CursorWrapper)
        cursor.turns = self.turns
        return cursor

    def _start_transaction_under_autocommit(self) -> None:
        self._has_turn = self._has_turn or self.turns.take(WAIT_SECONDS)
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._give_back()
            raise

    def _commit(self) -> Any:
        done = super()._commit()  # type: ignore[misc]
        self._give_back()
        return done

    def _rollback(self) -> Any:
        try:
            return super()._rollback()  # type: ignore[misc]
        finally:
            self._give_back()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._give_back()

    def _give_back(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self.turns.give_back()


def is_wanted_by_others() -> bool:
    """Return whether another writer waits for the transaction of this thread to end. Always False on PostgreSQL."""
    database = connections[DEFAULT_DB_ALIAS]
    return isinstance(database, DatabaseWrapper) and database._has_turn and database.turns.is_wanted()
