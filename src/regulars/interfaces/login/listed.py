"""When and where she signed in is written down as she does.

allauth would first look at every session she has, to drop those that ended: the more browsers, the slower the login. The
worker does that (`usecases.sign_out`), and so does the page that lists them.
"""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.signals import user_logged_in
from allauth.usersessions import signals
from allauth.usersessions.models import UserSession
from django.contrib.auth.signals import user_logged_in as logged_in
from django.http import HttpRequest
from django.utils import timezone

from regulars.accounts.models import Account
from regulars.base.db.compiled_query import CompiledInsert, CompiledUpdate, param, param_for

LONGEST_NAME = UserSession._meta.get_field("user_agent").max_length

_write = CompiledInsert(UserSession, or_leave=True)


def on_signed_in(request: HttpRequest, **_: Any) -> None:
    """A session of a new key is listed; of one that she already had, allauth notes what changed."""
    row = UserSession(
        user_id=request.user.pk,
        session_key=request.session.session_key,
        ip=get_adapter().get_client_ip(request),
        user_agent=request.META.get("HTTP_USER_AGENT", "")[:LONGEST_NAME],
    )
    if not _write(row):
        UserSession.objects.create_from_request(request)


def note_time(user: Account, **_: Any) -> None:
    """What Django's own `update_last_login` does, by SQL written once."""
    user.last_login = timezone.now()
    _note_time(id=user.pk, last_login=user.last_login)


_note_time = CompiledUpdate(
    lambda: (Account.objects.filter(pk=param("id")), {"last_login": param_for(Account, "last_login")})
)

logged_in.disconnect(dispatch_uid="update_last_login")
logged_in.connect(note_time, dispatch_uid="signin.last_login")
user_logged_in.disconnect(signals.on_user_logged_in)
user_logged_in.connect(on_signed_in, dispatch_uid="signin.listed")
