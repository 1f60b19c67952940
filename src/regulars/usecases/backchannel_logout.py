"""She signed out: every app of that session hears of it from us (OpenID Connect Back-Channel Logout)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from regulars.base.http import RequestFailed, RequestRefused, request
from regulars.base.jobs.tasks import PermanentFailure, Retry, enqueue, handles
from regulars.base.tokens.jwt import sign
from regulars.clients.models import Client

JOB = "backchannel_logout"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
GOOD_FOR = 120  # seconds; signed when it is sent, so a late try is not an old token
TIMEOUT = 10.0


def backchannel_logout(clients: Iterable[Client], sub: str, sid: str) -> None:
    """Write one job per app that wants to hear of it, into the caller's transaction."""
    for client in clients:
        if client.backchannel_logout_uri:
            enqueue(JOB, {"client": client.pk, "sub": sub, "sid": sid}, key=f"{sid}:{client.pk}"[:128])


@handles(JOB, non_transactional=True)
def tell_app(payload: dict[str, Any]) -> None:
    """Payload: `{"client": id, "sub": user id, "sid": session}`. Tried again until the app says that it understood."""
    client = Client.objects.filter(pk=payload["client"]).first()
    if client is None or not client.backchannel_logout_uri:
        return
    headers = {"content-type": "application/x-www-form-urlencoded"}
    content = urlencode({"logout_token": logout_token(client.pk, payload["sub"], payload["sid"])}).encode()
    try:
        answer = request("POST", client.backchannel_logout_uri, headers=headers, content=content, timeout=TIMEOUT)
    except RequestRefused as refused:
        raise PermanentFailure(f"{refused.code}: {refused.message}") from None
    except RequestFailed as failed:
        raise Retry(f"{failed.code}: {failed.message}") from None
    if answer.status >= 500 or answer.status == 429:
        raise Retry(f"the app answered {answer.status}")
    if not 200 <= answer.status < 300:
        raise PermanentFailure(f"the app answered {answer.status}")


def logout_token(client_id: str, sub: str, sid: str) -> str:
    """No nonce, so that nobody can take it for an ID token."""
    claims = {
        "sub": sub,
        "aud": client_id,
        "exp": int(time.time()) + GOOD_FOR,
        "jti": secrets.token_urlsafe(16),
        "sid": sid,
        "events": {EVENT: {}},
    }
    return sign(claims, "logout+jwt")
