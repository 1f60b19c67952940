"""Django's database sessions with fewer queries, and with columns by which the sessions of an account are found.

The session query of every browser request is compiled once. A new session is written when the response is ready, not when
it gets its key: one commit instead of two at every login.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.db import IntegrityError
from django.db.models import DateTimeField
from django.utils import timezone

from regulars.accounts.models import StoredSession
from regulars.accounts.session_contents import account_in, words_in
from regulars.base.db.compiled_query import CompiledInsert, CompiledQuery, param

_live = CompiledQuery(
    lambda: StoredSession.objects.only("session_key", "session_data").filter(
        session_key=param("key"), expire_date__gt=param("now", DateTimeField())
    )
)
_write = CompiledInsert(StoredSession, or_leave=True)
_any = CompiledQuery(lambda: StoredSession.objects.filter(session_key=param("key")).values_list("pk"))
# How long a session before its login is kept: what was typed in it names people. Each step of a login has a shorter limit.
BEFORE_LOGIN = dt.timedelta(hours=1)


class SessionStore(db.SessionStore):
    _is_new = False  # has a key but no row yet

    def create(self) -> None:
        self._session_key = self._get_new_session_key()  # type: ignore[attr-defined]
        self._get_session(no_load=True)  # type: ignore[attr-defined]
        self.modified = self._is_new = True

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            self.create()
        try:
            if must_create or self._is_new:
                self._write_first()
            else:
                super().save()
        except IntegrityError as error:  # its account was erased meanwhile: answered like a session that was ended
            raise UpdateError from error

    @classmethod
    def get_model_class(cls) -> type[StoredSession]:
        return StoredSession

    def create_model_instance(self, data: dict[str, Any]) -> StoredSession:
        row: StoredSession = super().create_model_instance(data)  # type: ignore[assignment]
        row.account_id, row.words = account_in(data), words_in(data)
        if row.words is not None:
            row.expire_date = min(row.expire_date, timezone.now() + BEFORE_LOGIN)
        return row

    def _write_first(self) -> None:
        data: Any = self._get_session(no_load=True)  # type: ignore[attr-defined]
        row: Any = self.create_model_instance(data)
        if not _write(row):
            raise CreateError
        self._is_new = False

    def exists(self, session_key: str) -> bool:
        return _any.exists(key=session_key)

    def _get_session_from_db(self) -> StoredSession | None:
        """Return the row. An unknown key is dropped, so that a session saved later gets a new one."""
        session = _live.first(key=self.session_key, now=timezone.now())
        if session is None:
            self._session_key = None
        return session
