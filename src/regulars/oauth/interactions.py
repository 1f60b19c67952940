"""Interactions: logins that wait for their browser to come back from a page (sign-in, consent, a question, a rule's page).

Every interaction belongs to one browser, which is recognised by a random id in its cookie.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.utils import timezone

from regulars.base.crypto import fingerprint, random_secret
from regulars.base.text import storable

from .authorization_request import AuthorizationRequest
from .models import PendingLogin

RESUME = "_resume"  # the parameter of /authorize that names the login to resume
LIFETIME = dt.timedelta(hours=1)

Wait = PendingLogin.Wait


def new_interaction(browser_id: str, request: AuthorizationRequest) -> PendingLogin:
    """Return a login of this browser that is not saved yet."""
    now = timezone.now()
    return PendingLogin(
        browser=fingerprint(browser_id),
        client=request.client,
        params={name: value for name, value in request.params.items() if name != RESUME},
        pushed=request.pushed,
        started_at=now,
        expires_at=now + LIFETIME,
    )


def save_interaction(pending: PendingLogin, wait: str) -> str:
    """Save the login until its browser comes back. Returns a new random state."""
    state = random_secret(43)
    delete_interaction(pending)
    pending.state_hash, pending.waits_for = fingerprint(state), wait
    pending.save(force_insert=True)
    return state


def find_interaction(browser_id: str, state: str, *waits: str) -> PendingLogin | None:
    """Return the login of this browser that waits under this state for one of `waits`."""
    return _waiting(browser_id, state, *waits).first() if state else None


def resume_interaction(browser_id: str, state: str, *waits: str) -> PendingLogin | None:
    """Return the waiting login to one caller; a second request with the same state gets None.

    `waits_for` of the returned object still names the page that the browser comes from.
    """
    pending = find_interaction(browser_id, state, *waits)
    if pending is None or not _waiting(browser_id, state, *waits).update(waits_for=""):
        return None
    return pending


def store_posted_fields(state: str, body: dict[str, Any]) -> bool:
    """Keep the fields that a rule's page posted until the browser repeats the request by GET.

    The browser's cookie does not travel with a POST from another site. The first post counts. Returns False when no login
    waits under this state.
    """
    waiting = PendingLogin.objects.filter(
        state_hash=fingerprint(state), waits_for=Wait.RULE, expires_at__gt=timezone.now()
    )
    waiting.filter(posted={}).update(posted=storable(body))
    return waiting.exists()


def delete_interaction(pending: PendingLogin) -> None:
    if pending.state_hash:
        PendingLogin.objects.filter(pk=pending.pk).delete()


def resume_url(pending: PendingLogin, state: str) -> str:
    """Return the URL that resumes the login. A pushed request does not appear in it, nor in any log of URLs."""
    shown = {"client_id": pending.client_id} if pending.pushed else pending.params
    return "/authorize?" + urlencode({**shown, RESUME: state})


def with_query(url: str, more: dict[str, str]) -> str:
    """Return the URL with more parameters, before its fragment."""
    if not more:
        return url
    address, hash_, fragment = url.partition("#")
    return address + ("&" if "?" in address else "?") + urlencode(more) + hash_ + fragment


def _waiting(browser_id: str, state: str, *waits: str) -> QuerySet[PendingLogin]:
    return PendingLogin.objects.filter(
        state_hash=fingerprint(state),
        browser=fingerprint(browser_id),
        waits_for__in=waits,
        expires_at__gt=timezone.now(),
    )
