"""The device flow (RFC 8628): a device shows a short code, and its customer types it on a device with a keyboard."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import uuid
from dataclasses import replace

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from regulars.base.crypto import fingerprint, random_secret
from regulars.clients.cache import find_api
from regulars.clients.models import Client
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import may_sign_in_sql

from . import refresh_tokens
from .authorization_request import AuthorizationRequest, Parameters
from .grant import Grant
from .models import DeviceRequest
from .protocol_errors import OAuthError, about_grant

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels: no words, and nothing that looks like a digit
LIFETIME = 900  # seconds
INTERVAL = 5
SLOWER = 5  # seconds added to the interval of a device that polls too often
State = DeviceRequest.State

# The statement that sets the state to `used` gets the tokens.
REDEEM = (
    f"UPDATE {DeviceRequest._meta.db_table} SET state = 'used'"  # noqa: S608 - the names are our own
    " WHERE hash = %s AND state = 'allowed'"
    f" AND {may_sign_in_sql(f'{DeviceRequest._meta.db_table}.profile_id')}"
    ' RETURNING profile_id, "grant"'
)


def start_device_login(request: AuthorizationRequest) -> tuple[str, str]:
    """Store the request of a device. Return its device code, and the user code that it shows."""
    code, user_code = random_secret(43), new_user_code()
    DeviceRequest.objects.create(
        hash=fingerprint(code),
        user_code_hash=fingerprint(user_code),
        client=request.client,
        params={"scope": " ".join(request.scopes), "audience": request.audience, "answers": request.answers},
        interval=INTERVAL,
        expires_at=timezone.now() + dt.timedelta(seconds=LIFETIME),
    )
    return code, user_code


def redeem(code: str, client: Client, jkt: str, answers: str) -> tuple[Grant, str]:
    """Return the grant and a refresh token once the customer allowed it. Raises `OAuthError` with a code of RFC 8628.

    `answers` is the dialect of the poll, and of the grant where the request of the device left it open.
    """
    row = DeviceRequest.objects.filter(hash=fingerprint(code), client=client).first()
    if row is None:
        raise _invalid_code()
    with about_grant(row.params.get("answers", "")):
        _check_answered(row)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(REDEEM, [row.pk])
                taken = cursor.fetchone()
            if taken is None:
                raise _invalid_code()
            grant = Grant.from_json(json.loads(taken[1]) if isinstance(taken[1], str) else taken[1])
            family = uuid.uuid4()
            grant = replace(grant, jkt=jkt, grant_id=family.hex, answers=grant.answers or answers)
            return grant, refresh_tokens.start_if_offline(family, taken[0], client, grant)


def _check_answered(row: DeviceRequest) -> None:
    """Raise `OAuthError` unless the customer allowed the device. One that polls too often must wait longer from now on."""
    if row.state == State.USED:
        raise _invalid_code()
    if row.expires_at <= timezone.now():
        raise OAuthError("expired_token", "The device code has run out. Ask for a new one.")
    match row.state:
        case State.DENIED:
            raise OAuthError("access_denied", "The customer did not allow it.")
        case State.WAITING:
            now = timezone.now()
            too_soon = row.asked_at is not None and now - row.asked_at < dt.timedelta(seconds=row.interval)
            interval = min(row.interval + (SLOWER if too_soon else 0), 60)
            DeviceRequest.objects.filter(pk=row.pk).update(asked_at=now, interval=interval)
            if too_soon:
                raise OAuthError("slow_down", f"Ask every {interval} seconds.")
            raise OAuthError("authorization_pending", "The customer has not answered yet.")


def _invalid_code() -> OAuthError:
    return OAuthError("invalid_grant", "Invalid or expired device code.")


def find_device(user_code: str) -> DeviceRequest | None:
    """Return the waiting device that shows this code. Case, spaces and dashes of the typed code do not matter."""
    waiting = _of_user_code(user_code).filter(state=State.WAITING, expires_at__gt=timezone.now())
    return waiting.select_related("client").first()


def was_issued(user_code: str) -> bool:
    """Return whether a device was given this code. One that was answered or has run out is no guess."""
    return _of_user_code(user_code).exists()


def _of_user_code(user_code: str) -> QuerySet[DeviceRequest]:
    letters = "".join(letter for letter in user_code.upper() if letter in LETTERS)
    return DeviceRequest.objects.filter(user_code_hash=fingerprint(_with_dash(letters)))


def request_of(row: DeviceRequest) -> AuthorizationRequest:
    """Return the request that the device made. It was checked when it was stored."""
    scopes = row.params["scope"].split()
    api = find_api(row.params["audience"])
    return AuthorizationRequest(
        row.client, Parameters({}), scopes=scopes, api=api, answers=row.params.get("answers", "")
    )


def allow_device(row: DeviceRequest, profile: Profile, grant: Grant) -> bool:
    """Store the customer's grant. Returns False when the device has an answer already."""
    waiting = DeviceRequest.objects.filter(pk=row.pk, state=State.WAITING)
    return bool(waiting.update(state=State.ALLOWED, profile=profile, grant=grant.to_json()))


def deny_device(row: DeviceRequest, profile: Profile) -> bool:
    """Store the refusal. Returns False when the device has an answer already."""
    waiting = DeviceRequest.objects.filter(pk=row.pk, state=State.WAITING)
    return bool(waiting.update(state=State.DENIED, profile=profile))


def new_user_code() -> str:
    return _with_dash("".join(secrets.choice(LETTERS) for _ in range(8)))


def _with_dash(letters: str) -> str:
    return f"{letters[:4]}-{letters[4:]}"
