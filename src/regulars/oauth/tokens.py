"""Access tokens and ID tokens of a grant, and the bodies of token responses."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Set
from typing import Any

from regulars.base.tokens.jwt import Claims, sign
from regulars.base.tokens.kinds import AT_JWT, JWT, as_access_token, as_id_token
from regulars.clients.cache import ApiAccess, find_api
from regulars.clients.models import ResourceServer, management_audience

from .claims import SINGLE_CLAIMS, userinfo_audience
from .dialect import DIALECT, Answers, in_dialect
from .grant import Grant
from .revoked_grants import CLAIM

ID_TOKEN_LIFETIME = 36000  # seconds, as Auth0's
Dialect = ResourceServer.Dialect
CLIENT_SUB = "@clients"  # the end of Auth0's `sub` in a token that belongs to no customer


def access_token(grant: Grant) -> str:
    """Return a JWT for the API, in its dialect. With the scope `openid` it is good for /userinfo too."""
    api = find_api(grant.audience)
    dialect = Dialect(api.token_dialect) if api else Dialect.AUTH0
    audience: str | list[str] = grant.audience or userinfo_audience()
    if grant.audience and "openid" in grant.scopes:
        audience = [grant.audience, userinfo_audience()]
    claims: Claims = {
        "sub": grant.sub,
        "aud": audience,
        **_of_access_token(grant.client_id, dialect, grant.lifetime, grant.jkt),
    }
    if grant.answers == Answers.OPENID and (not grant.audience or "openid" in grant.scopes):  # good for /userinfo
        claims[DIALECT] = grant.answers
    if grant.scopes:
        claims["scope"] = grant.scope
    if grant.sid:
        claims["sid"] = grant.sid
    if grant.grant_id:
        claims[CLAIM] = grant.grant_id
    if grant.audience == management_audience():  # changes of the account depend on how and when the customer signed in
        claims |= {"auth_time": grant.auth_time, "amr": grant.amr} if grant.auth_time else {}
    if grant.userinfo_claims:
        claims[SINGLE_CLAIMS] = grant.userinfo_claims
    if api and dialect.has_permissions:
        claims["permissions"] = [scope for scope in grant.scopes if scope in api.scopes]
    return sign(as_access_token({**grant.access_token, **claims}), _typ(dialect))


def id_token(grant: Grant, **bound: str) -> str:
    """Return the ID token. `bound` are values sent beside it, by the name of the claim that has half their hash."""
    standard = {
        "sid": grant.sid,
        "nonce": grant.nonce,
        "auth_time": grant.auth_time,
        "amr": grant.amr,
        "acr": grant.acr,
    }
    claims: Claims = {
        "sub": grant.sub,
        "aud": grant.client_id,
        "exp": int(time.time()) + ID_TOKEN_LIFETIME,
        **{name: value for name, value in standard.items() if value},
        **{name: half_hash(value) for name, value in bound.items() if value},
    }
    return sign(as_id_token({**in_dialect(grant.id_token, grant.answers), **claims}))


def signed_userinfo(claims: Claims, client_id: str) -> str:
    """Return the answer of /userinfo as a token for one app (OpenID Connect Core 5.3.2). Its type keeps it from being an ID token."""
    return sign({**claims, "aud": client_id}, "userinfo+jwt")


def token_response(grant: Grant, refresh_token: str = "") -> dict[str, Any]:
    """Return the body of the token endpoint for a customer's grant."""
    return {
        "access_token": access_token(grant),
        **({"refresh_token": refresh_token} if refresh_token else {}),
        **({"id_token": id_token(grant)} if "openid" in grant.scopes else {}),
        "scope": grant.scope,
        "expires_in": grant.lifetime,
        "token_type": token_type(grant.jkt),
    }


def client_token_response(client_id: str, access: ApiAccess, scopes: list[str], jkt: str = "") -> dict[str, Any]:
    """Return the body of the token endpoint for a client that calls an API by itself (client credentials)."""
    claims: Claims = {
        "sub": client_id + CLIENT_SUB,
        "aud": access.audience,
        "gty": "client-credentials",
        **_of_access_token(client_id, access.dialect, access.lifetime, jkt),
        **({"permissions": scopes} if access.dialect.has_permissions else {}),
        **({"scope": " ".join(scopes)} if scopes else {}),
    }
    return {
        "access_token": sign(as_access_token(claims), _typ(access.dialect)),
        "expires_in": access.lifetime,
        "token_type": token_type(jkt),
        **({"scope": " ".join(scopes)} if scopes else {}),
    }


def front_channel_tokens(grant: Grant, response_types: Set[str], code: str = "") -> dict[str, Any]:
    """Return the tokens that /authorize answers itself; empty when the app requested a code alone."""
    body: dict[str, Any] = {}
    if "token" in response_types:
        body["access_token"] = access_token(grant)
        body |= {"token_type": "Bearer", "expires_in": grant.lifetime, "scope": grant.scope}
    if "id_token" in response_types:
        body["id_token"] = id_token(grant, at_hash=body.get("access_token", ""), c_hash=code)
    return body


def token_type(jkt: str) -> str:
    """Return the scheme of the Authorization header that carries the token."""
    return "DPoP" if jkt else "Bearer"


def half_hash(value: str) -> str:
    """Return at_hash or c_hash: the left half of the SHA-256, base64url (OpenID Connect Core 3.3.2.11)."""
    return base64.urlsafe_b64encode(hashlib.sha256(value.encode()).digest()[:16]).rstrip(b"=").decode()


def _typ(dialect: Dialect) -> str:
    """Return the header's `typ`. Libraries that verify Auth0's profile accept JWT only (Spring, Nimbus), RFC 9068 has its own."""
    return AT_JWT if dialect.is_rfc_9068 else JWT


def _of_access_token(client_id: str, dialect: Dialect, lifetime: int, jkt: str) -> Claims:
    """Return the claims that every access token has; `cnf` binds it to the key whose possession was proved."""
    return {
        "exp": int(time.time()) + lifetime,
        ("client_id" if dialect.is_rfc_9068 else "azp"): client_id,
        "jti": secrets.token_urlsafe(16),
        **({"cnf": {"jkt": jkt}} if jkt else {}),
    }
