"""Back-channel logout: every app of a session that ended gets a logout token (OpenID Connect Back-Channel Logout 1.0)."""

from __future__ import annotations

import secrets
import time
from urllib.parse import urlencode

from regulars.base.http import RequestFailed, RequestRefused, request
from regulars.base.jobs.tasks import PermanentFailure, Retry, enqueue, handles
from regulars.base.tokens.jwt import sign
from regulars.base.tokens.kinds import LOGOUT_JWT
from regulars.clients.models import Client

JOB = "backchannel_logout"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TOKEN_LIFETIME = 120  # seconds; it is signed when it is sent, so a late retry has a fresh token
TIMEOUT = 10.0


def backchannel_logout(client: Client, sub: str, sid: str) -> None:
    """Queue the notification in the caller's transaction, if the app registered an address for it."""
    if client.backchannel_logout_uri:
        enqueue(JOB, {"client": client.pk, "sub": sub, "sid": sid}, key=f"{sid}:{client.pk}"[:128])


@handles(JOB, non_transactional=True)
def send_logout_token(payload: dict[str, str]) -> None:
    """Send one logout token; it is retried until the app answers 2xx.

    Payload: `{"client": client id, "sub": user id, "sid": session}`.
    """
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
    """Return a logout token. It has no nonce, so that it cannot be taken for an ID token."""
    claims = {
        "sub": sub,
        "aud": client_id,
        "exp": int(time.time()) + LOGOUT_TOKEN_LIFETIME,
        "jti": secrets.token_urlsafe(16),
        "sid": sid,
        "events": {EVENT: {}},
    }
    return sign(claims, LOGOUT_JWT)
