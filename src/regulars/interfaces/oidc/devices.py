"""The device flow (RFC 8628): a television shows a short code, and its customer types it where she has a keyboard."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import uuid
from dataclasses import replace
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from regulars.base.crypto import fingerprint, random_secret
from regulars.clients.cache import may_refresh
from regulars.clients.models import Client
from regulars.oauth.models import DeviceRequest
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import may_sign_in_sql

from . import refresh
from .errors import OAuthError
from .grants import Grant

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels: no words, and nothing that looks like a digit
LIVES = 900  # seconds
INTERVAL = 5
SLOWER = 5  # seconds more between two questions, for a device that asks too often
State = DeviceRequest.State

# Whoever makes it `used` has the tokens.
REDEEM = (
    f"UPDATE {DeviceRequest._meta.db_table} SET state = 'used'"  # noqa: S608 - the names are our own
    " WHERE hash = %s AND state = 'allowed'"
    f" AND {may_sign_in_sql(f'{DeviceRequest._meta.db_table}.profile_id')}"
    ' RETURNING profile_id, "grant"'
)


def begin(client: Client, params: dict[str, str]) -> tuple[str, str]:
    """A new device that waits. Returns its own code, and the one it shows."""
    code, user_code = random_secret(43), new_user_code()
    DeviceRequest.objects.create(
        hash=fingerprint(code),
        user_code_hash=fingerprint(user_code),
        client=client,
        params=params,
        interval=INTERVAL,
        expires_at=timezone.now() + dt.timedelta(seconds=LIVES),
    )
    return code, user_code


def redeem(code: str, client: Client, jkt: str = "") -> tuple[Grant, str]:
    """The grant and a refresh token, once she allowed it. `OAuthError`: why there is none, in the words of RFC 8628."""
    row = DeviceRequest.objects.filter(hash=fingerprint(code), client=client).first()
    if row is None or row.state == State.USED:
        raise OAuthError("invalid_grant", "Invalid or expired device code.")
    if row.expires_at <= timezone.now():
        raise OAuthError("expired_token", "The device code has run out. Ask for a new one.")
    match row.state:
        case State.DENIED:
            raise OAuthError("access_denied", "The customer did not allow it.")
        case State.WAITING:
            raise _not_yet(row)
    with transaction.atomic():
        profile_id, grant = _redeemed(row)
        grant = replace(grant, jkt=jkt)
        offline = grant.is_offline and may_refresh(client)
        return grant, refresh.start(uuid.uuid4(), profile_id, grant) if offline else ""


def find(user_code: str) -> DeviceRequest | None:
    """The device that shows this code and still waits; however she typed it."""
    letters = "".join(letter for letter in user_code.upper() if letter in LETTERS)
    waiting = DeviceRequest.objects.filter(state=State.WAITING, expires_at__gt=timezone.now())
    return waiting.filter(user_code_hash=fingerprint(_with_dash(letters))).select_related("client").first()


def decide(row: DeviceRequest, state: str, profile: Profile, grant: dict[str, Any]) -> bool:
    """Her answer; False when the device had one already."""
    waiting = DeviceRequest.objects.filter(pk=row.pk, state=State.WAITING)
    return bool(waiting.update(state=state, profile=profile, grant=grant))


def new_user_code() -> str:
    return _with_dash("".join(secrets.choice(LETTERS) for _ in range(8)))


def _with_dash(letters: str) -> str:
    return f"{letters[:4]}-{letters[4:]}"


def _not_yet(row: DeviceRequest) -> OAuthError:
    now = timezone.now()
    too_soon = row.asked_at is not None and now - row.asked_at < dt.timedelta(seconds=row.interval)
    interval = row.interval + (SLOWER if too_soon else 0)
    DeviceRequest.objects.filter(pk=row.pk).update(asked_at=now, interval=min(interval, 60))
    if too_soon:
        return OAuthError("slow_down", f"Ask every {min(interval, 60)} seconds.", 429)
    return OAuthError("authorization_pending", "She has not answered yet.")


def _redeemed(row: DeviceRequest) -> tuple[int, Grant]:
    with connection.cursor() as cursor:
        cursor.execute(REDEEM, [row.pk])
        found = cursor.fetchone()
    if found is None:
        raise OAuthError("invalid_grant", "Invalid or expired device code.")
    kept = json.loads(found[1]) if isinstance(found[1], str) else found[1]
    return found[0], Grant(**kept)
