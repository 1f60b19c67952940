"""What the sign-in pages leave behind, without their pages: a session, and allauth's record of how she came in."""

from __future__ import annotations

import time
from typing import Any


def open_session(account: Any) -> str:
    """The value of her cookie. Django must be set up by now."""
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session["_auth_user_id"] = str(account.pk)
    session["_auth_user_backend"] = "allauth.account.auth_backends.AuthenticationBackend"
    session["_auth_user_hash"] = account.get_session_auth_hash()
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
    session["account_authentication_methods_user"] = str(account.pk)
    session.save()
    return str(session.session_key)
