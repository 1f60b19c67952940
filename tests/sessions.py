"""Sessions as the sign-in pages create them, with allauth's record of the login."""

from __future__ import annotations

import time
from typing import Any


def open_session(account: Any) -> str:
    """Return the value of the session cookie. Django must be set up."""
    from regulars.serving.session_store import SessionStore

    session = SessionStore()
    session["_auth_user_id"] = str(account.pk)
    session["_auth_user_backend"] = "allauth.account.auth_backends.AuthenticationBackend"
    session["_auth_user_hash"] = account.get_session_auth_hash()
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
    session["account_authentication_methods_user"] = str(account.pk)
    session.save()
    return str(session.session_key)
