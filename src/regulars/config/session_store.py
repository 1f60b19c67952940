"""Sessions as Django keeps them in the database; the one query of every request of a browser is written as SQL once."""

from __future__ import annotations

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db.models import DateTimeField
from django.utils import timezone

from regulars.base.kit.prepared import Prepared, given

_live = Prepared(
    lambda: Session.objects.filter(session_key=given("key"), expire_date__gt=given("now", DateTimeField()))
)


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        """A key that opens nothing is forgotten, so that what is saved later gets a new one."""
        session = _live.first(key=self.session_key, now=timezone.now())
        if session is None:
            self._session_key = None
        return session
