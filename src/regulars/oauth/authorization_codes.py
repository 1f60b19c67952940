"""Authorization codes: stored with the whole grant, redeemed once by a single statement."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import replace

from django.db import connection, transaction
from django.utils import timezone

from regulars.base.crypto import fingerprint, random_secret
from regulars.base.db.compiled_query import CompiledInsert, CompiledUpdate, param, param_for
from regulars.base.db.deadlocks import repeat_after_deadlock
from regulars.clients.cache import find_api, is_public
from regulars.clients.models import Client
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import may_sign_in_sql

from . import refresh_tokens
from .authorization_request import FRONT_CHANNEL_LIFETIME
from .dialect import dialect_of
from .grant import Grant
from .models import AuthorizationCode
from .protocol_errors import OAuthError, about_grant

LIFETIME = dt.timedelta(seconds=60)
CODE_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")  # RFC 7636, 4.1

# The statement that sets `family` redeems the code; every other one finds it set. A customer blocked meanwhile gets nothing.
REDEEM = (
    f"UPDATE {AuthorizationCode._meta.db_table} SET family = %s"  # noqa: S608 - the names are our own
    " WHERE hash = %s AND client_id = %s AND family IS NULL AND expires_at > %s"
    f" AND {may_sign_in_sql(f'{AuthorizationCode._meta.db_table}.profile_id')}"
    ' RETURNING profile_id, "grant"'
)


def family_of(code: str) -> uuid.UUID:
    """Return the id of the grant that the code redeems. It is known before: tokens that are sent beside the code bear it too."""
    return uuid.UUID(bytes=hashlib.sha256(f"family:{code}".encode()).digest()[:16])


def issue_code(profile: Profile, grant: Grant) -> str:
    code = random_secret(43)
    _insert(
        AuthorizationCode(
            hash=fingerprint(code),
            client_id=grant.client_id,
            profile=profile,
            grant=grant.to_json(),
            expires_at=timezone.now() + LIFETIME,
        )
    )
    return code


_insert = CompiledInsert(AuthorizationCode)


def redeem_code(params: Mapping[str, str], client: Client, jkt: str) -> tuple[Grant, str]:
    """Return the grant of `code`, and a refresh token when offline access was granted.

    `jkt` is the thumbprint of the proved key. Raises `OAuthError`. A code is used up even when a later check fails.
    """
    if params.get("code") is None:
        raise OAuthError("invalid_request", "Missing 'code' in request.")
    redeemed = redeem(params["code"], client, jkt, dialect_of(client, params))
    if redeemed is None:
        raise _invalid_code(_dialect_of_code(params["code"], client))
    grant, _ = redeemed
    with about_grant(grant.answers):
        if grant.sent_redirect_uri and params.get("redirect_uri") != grant.sent_redirect_uri:
            raise _invalid_code()
        _check_verifier(params.get("code_verifier", ""), grant.challenge, required=is_public(client))
    return redeemed


def _invalid_code(answers: str = "") -> OAuthError:
    return OAuthError("invalid_grant", "Invalid authorization code", answers=answers)


def _dialect_of_code(code: str, client: Client) -> str:
    """Return the dialect that the request of this code decided; empty for one that is unknown or left it open."""
    row = AuthorizationCode.objects.filter(hash=fingerprint(code), client=client).first()
    return str(row.grant.get("answers", "")) if row else ""


def _check_verifier(verifier: str, challenge: str, *, required: bool) -> None:
    """Check PKCE (RFC 7636, 4.6), and refuse a verifier that answers no challenge (RFC 9700, 4.8)."""
    if not verifier:
        if challenge or required:
            raise OAuthError("invalid_request", "Missing 'code_verifier'")
        return
    if not challenge:
        raise OAuthError(
            "invalid_request",
            "The authorization request had no 'code_challenge', but a 'code_verifier' was provided.",
        )
    if not CODE_VERIFIER.fullmatch(verifier):
        raise OAuthError("invalid_request", "Invalid 'code_verifier'")
    hashed = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    if not hmac.compare_digest(hashed, challenge.encode()):
        raise _invalid_code()


@repeat_after_deadlock  # with an erasure, which deletes the code
def redeem(code: str, client: Client, jkt: str, answers: str) -> tuple[Grant, str] | None:
    """Return grant and refresh token to exactly one of any number of callers.

    `answers` is the dialect of the grant from now on, where the request for the code left it open.
    A code that is bound to another key is used up and gives nothing. A code that is sent again ends what it had started:
    the first refresh token is created in the transaction that uses the code up, so that a replay, which waits for the row,
    always finds the family that it must end.
    """
    family = family_of(code)
    parameters = [
        AuthorizationCode._meta.get_field("family").get_db_prep_value(family, connection),
        fingerprint(code),
        client.pk,
        connection.ops.adapt_datetimefield_value(timezone.now()),
    ]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(REDEEM, parameters)
            row = cursor.fetchone()
        if row:
            profile_id, stored = row
            grant = Grant.from_json(json.loads(stored) if isinstance(stored, str) else stored)
            if grant.jkt and grant.jkt != jkt:
                return None
            grant = replace(grant, jkt=jkt, grant_id=family.hex, answers=grant.answers or answers)
            refresh_token = refresh_tokens.start_if_offline(family, profile_id, client, grant)
            _keep_until_all_expired(code, client, grant, is_offline=bool(refresh_token))
            return grant, refresh_token
        used = AuthorizationCode.objects.filter(hash=fingerprint(code), client=client, family__isnull=False).first()
        if used and used.family:
            refresh_tokens.end_family(used.family, "code_replayed", used.expires_at - timezone.now())
    return None


def _keep_until_all_expired(code: str, client: Client, grant: Grant, *, is_offline: bool) -> None:
    """Keep the hash of a redeemed code, without its grant, for as long as anything that came from it may be valid.

    The dialect stays, for the answer to a replay.
    """
    api = find_api(grant.audience)
    beside = api.token_lifetime_for_web if api else FRONT_CHANNEL_LIFETIME  # of a token that was sent beside the code
    lifetime = dt.timedelta(seconds=max(grant.lifetime, beside))
    if is_offline:
        lifetime += refresh_tokens.absolute_lifetime(client)
    _keep(hash=fingerprint(code), grant={"answers": grant.answers}, expires_at=timezone.now() + lifetime)


_keep = CompiledUpdate(
    lambda: (
        AuthorizationCode.objects.filter(pk=param("hash")),
        {name: param_for(AuthorizationCode, name) for name in ("grant", "expires_at")},
    )
)
