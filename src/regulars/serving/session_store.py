"""Django's database sessions with fewer queries.

The session query of every browser request is compiled once. A new session is written when the response is ready, not when
it gets its key: one commit instead of two at every login.
"""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import CreateError
from django.contrib.sessions.models import Session
from django.db.models import DateTimeField
from django.utils import timezone

from regulars.base.db.compiled_query import CompiledInsert, CompiledQuery, param

_live = CompiledQuery(
    lambda: Session.objects.filter(session_key=param("key"), expire_date__gt=param("now", DateTimeField()))
)
_write = CompiledInsert(Session, or_leave=True)
_any = CompiledQuery(lambda: Session.objects.filter(session_key=param("key")).values_list("pk"))


class SessionStore(db.SessionStore):
    _is_new = False  # has a key but no row yet

    def create(self) -> None:
        self._session_key = self._get_new_session_key()  # type: ignore[attr-defined]
        self._get_session(no_load=True)  # type: ignore[attr-defined]
        self.modified = self._is_new = True

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            self.create()
        if must_create or self._is_new:
            self._write_first()
        else:
            super().save()

    def _write_first(self) -> None:
        data: Any = self._get_session(no_load=True)  # type: ignore[attr-defined]
        row: Any = self.create_model_instance(data)
        if not _write(row):
            raise CreateError
        self._is_new = False

    def exists(self, session_key: str) -> bool:
        return _any.exists(key=session_key)

    def _get_session_from_db(self) -> Session | None:
        """Return the row. An unknown key is dropped, so that a session saved later gets a new one."""
        session = _live.first(key=self.session_key, now=timezone.now())
        if session is None:
            self._session_key = None
        return session
