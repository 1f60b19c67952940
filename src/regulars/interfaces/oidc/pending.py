"""Logins that wait for their browser: written before she is sent to a page, taken up when she is back."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from regulars.base.crypto import fingerprint, random_secret
from regulars.base.text import storable
from regulars.oauth.models import PendingLogin

COOKIE = "regulars_login"
RESUME = "_resume"  # the parameter of /authorize that says which login goes on
LIVES = dt.timedelta(hours=1)
LARGEST_BODY = 64 * 1024

Wait = PendingLogin.Wait


def begin(request: HttpRequest, client_id: str, params: dict[str, str], *, pushed: bool = False) -> PendingLogin:
    """A login not written down yet. It will be this browser's: one cookie for all its logins."""
    now = timezone.now()
    return PendingLogin(
        browser=fingerprint(_browser(request)),
        client_id=client_id,
        params={name: value for name, value in params.items() if name != RESUME},
        pushed=pushed,
        started_at=now,
        expires_at=now + LIVES,
    )


def put_down(pending: PendingLogin, wait: str) -> str:
    """Write it down until she is back. Returns a new state, which nobody else ever knew."""
    state = random_secret(43)
    forget(pending)
    pending.state_hash, pending.waits_for = fingerprint(state), wait
    pending.save(force_insert=True)
    return state


def find(request: HttpRequest, state: str, *waits: str) -> PendingLogin | None:
    """The login that waits under this state for one of `waits`, in this browser; None for any other."""
    return _waiting(request, state, *waits).first() if state else None


def take_up(request: HttpRequest, state: str, *waits: str) -> PendingLogin | None:
    """The same, and nobody else has it: a second request with the same state gets None.

    What it waited for stays on the object, so that whoever goes on knows where she comes from.
    """
    pending = find(request, state, *waits)
    if pending is None or not _waiting(request, state, *waits).update(waits_for=""):
        return None
    return pending


def leave_message(state: str, body: dict[str, Any]) -> bool:
    """Keep what a rule's page posted until the browser comes by GET: its cookies do not travel with a foreign POST.

    The first message counts. False: nobody waits under this state.
    """
    waiting = PendingLogin.objects.filter(
        state_hash=fingerprint(state), waits_for=Wait.RULE, expires_at__gt=timezone.now()
    )
    waiting.filter(brought={}).update(brought=storable(body))
    return waiting.exists()


def forget(pending: PendingLogin) -> None:
    if pending.state_hash:
        PendingLogin.objects.filter(pk=pending.pk).delete()


def way_back(pending: PendingLogin, state: str) -> str:
    """The address at which this login goes on. What was pushed stays here, out of addresses and their logs."""
    shown = {"client_id": pending.client_id} if pending.pushed else pending.params
    return "/authorize?" + urlencode({**shown, RESUME: state})


def mark_browser(request: HttpRequest, response: HttpResponse) -> None:
    """The cookie that only this browser has. Nothing else rests on it: a lost one means to start again."""
    response.set_cookie(
        COOKIE,
        _browser(request),
        max_age=int(LIVES.total_seconds()),
        httponly=True,
        samesite="Lax",
        secure=settings.SECURE,
    )


def _waiting(request: HttpRequest, state: str, *waits: str) -> QuerySet[PendingLogin]:
    return PendingLogin.objects.filter(
        state_hash=fingerprint(state),
        browser=fingerprint(_browser(request)),
        waits_for__in=waits,
        expires_at__gt=timezone.now(),
    )


def _browser(request: HttpRequest) -> str:
    """This browser's name for us, made when it has none yet (and then the same throughout the request)."""
    name = request.COOKIES.get(COOKIE, "")
    if len(name) < 32:
        name = request.COOKIES[COOKIE] = random_secret(43)
    return name
