"""Record when and where a customer signed in.

allauth would first read every session of the customer, to drop those that ended: the more browsers, the slower the
login. The worker does that (`usecases.sign_out`), and so does the page that lists them.
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
from regulars.base.client_network import stored_ip
from regulars.base.db.compiled_query import CompiledInsert, CompiledUpdate, param, param_for
from regulars.base.page_language import page_language

LONGEST_NAME = UserSession._meta.get_field("user_agent").max_length

_write = CompiledInsert(UserSession, or_leave=True)


def list_session(request: HttpRequest, **_: Any) -> None:
    """List a session with a new key; for a known one allauth records what changed."""
    row = UserSession(
        user_id=request.user.pk,
        session_key=request.session.session_key,
        ip=stored_ip(get_adapter().get_client_ip(request)),
        user_agent=request.META.get("HTTP_USER_AGENT", "")[:LONGEST_NAME],
    )
    if not _write(row):
        UserSession.objects.create_from_request(request)


def record_last_login(user: Account, **_: Any) -> None:
    """Do what Django's own `update_last_login` does, by SQL written once. The language of the page is kept for mails."""
    user.last_login = timezone.now()
    user.language = page_language.get() or user.language
    _set_last_login(id=user.pk, last_login=user.last_login, language=user.language)


_set_last_login = CompiledUpdate(
    lambda: (
        Account.objects.filter(pk=param("id")),
        {name: param_for(Account, name) for name in ("last_login", "language")},
    )
)

logged_in.disconnect(dispatch_uid="update_last_login")
logged_in.connect(record_last_login, dispatch_uid="login.last_login")
user_logged_in.disconnect(signals.on_user_logged_in)
user_logged_in.connect(list_session, dispatch_uid="login.session_list")
