"""The browser of a request: its cookie for interactions, its session, and the customer who is signed in."""

from __future__ import annotations

from typing import Any

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language

from regulars.accounts.models import Account
from regulars.base.crypto import random_secret
from regulars.interfaces.pages.language import named_language
from regulars.oauth.browser_session import BrowserSession
from regulars.oauth.interactions import LIFETIME
from regulars.oauth.sessions import end_session, keep_sid, sid_of_key
from regulars.profiles.find import find_by_account
from regulars.usecases.login import LoginContext

COOKIE = "regulars_login"
SID = "sid"  # in the session's own data: a new authentication changes the session's key, and apps see the same session


def browser_id(request: HttpRequest) -> str:
    """Return the id of this browser. A new one stays the same throughout the request."""
    name = request.COOKIES.get(COOKIE, "")
    if len(name) < 32:
        name = request.COOKIES[COOKIE] = random_secret(43)
    return name


def save_browser_id(request: HttpRequest, response: HttpResponse) -> None:
    """Set the cookie by which interactions find their browser. Without it a login starts again."""
    response.set_cookie(
        COOKIE,
        browser_id(request),
        max_age=int(LIFETIME.total_seconds()),
        httponly=True,
        samesite="Lax",
        secure=settings.SECURE,
    )


def find_browser_session(request: HttpRequest) -> BrowserSession | None:
    """Return the session of a customer. Staff have no profile, so theirs is none."""
    account = request.user
    if not isinstance(account, Account):
        return None
    profile = find_by_account(account.pk)
    if profile is None:
        return None
    profile.account = account  # known already; the rule for signing in reads it
    sid = sid_of(request)
    if sid and SID not in request.session:  # two requests at once store the same one
        request.session[SID] = sid
    return BrowserSession(account, profile, sid, list(get_authentication_records(request, account)))


def sid_of(request: HttpRequest) -> str:
    """Return the session's public id. Apps know it; it cannot be used to open the session."""
    key = request.session.session_key
    return str(request.session.get(SID, "")) or (sid_of_key(key) if key else "")


def browser_context(request: HttpRequest, protocol: str = "") -> LoginContext:
    """Return what a login gets to know of the HTTP request."""
    return LoginContext(
        protocol=protocol,
        hostname=request.get_host(),
        ip=request.META.get("REMOTE_ADDR", ""),
        user_agent=request.headers.get("User-Agent", ""),
        query=request.GET.dict(),
        locale=get_language() or "en",
        named_locale=named_language(request),
    )


def on_signed_in(request: HttpRequest, **_: Any) -> None:
    """Keep the session's public id when a new authentication changed its key."""
    key, sid = request.session.session_key, request.session.get(SID)
    if key and sid:
        keep_sid(key, sid)


def on_signed_out(request: HttpRequest | None, **_: Any) -> None:
    """End the session for its apps. Django calls this before it empties the session."""
    sid = sid_of(request) if request is not None and hasattr(request, "session") else ""
    if sid:
        end_session(sid)
