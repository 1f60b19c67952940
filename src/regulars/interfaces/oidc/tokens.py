"""The tokens of a grant, and the claims of a customer by scope."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Set
from typing import Any

from django.conf import settings

from regulars.base.tokens.jwt import sign
from regulars.clients.cache import Machine, find_api
from regulars.clients.models import ResourceServer

from .grants import Grant

ID_TOKEN_LIFETIME = 36000  # seconds, as Auth0's
ACCESS_TOKEN = "at+jwt"  # noqa: S105 - RFC 9068's type
MACHINE = "@clients"

# Which of the customer's attributes each scope lets out. OpenID Connect Core 5.4, with Auth0's nickname.
CLAIMS = {
    "profile": [
        "name",
        "given_name",
        "family_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ],
    "email": ["email", "email_verified"],
    "phone": ["phone_number", "phone_number_verified"],
    "address": ["address"],
}


def userinfo_audience() -> str:
    return f"{settings.ISSUER}userinfo"


def claims_of(user: dict[str, Any], scopes: list[str]) -> dict[str, Any]:
    """What these scopes tell of Auth0's `user`, beside `sub`. What is not known is left out."""
    known = {**user, "phone_number_verified": user.get("phone_verified")}
    names = [name for scope in scopes for name in CLAIMS.get(scope, ())]
    return {name: known[name] for name in names if known.get(name) is not None}


def access_token(grant: Grant) -> str:
    """A JWT (RFC 9068) for the API, and for /userinfo too when she signed in with `openid`."""
    claims = {
        "sub": grant.sub,
        "aud": _audience(grant),
        "exp": int(time.time()) + grant.lifetime,
        "azp": grant.client_id,
        "client_id": grant.client_id,
        "jti": secrets.token_urlsafe(16),
    }
    if grant.scopes:
        claims["scope"] = grant.scope
    if grant.sid:
        claims["sid"] = grant.sid
    api = find_api(grant.audience)
    if api and api.token_dialect == ResourceServer.Dialect.WITH_PERMISSIONS:
        claims["permissions"] = [scope for scope in grant.scopes if scope in api.scopes]
    claims |= _held_by(grant.jkt)
    return sign({**grant.access_token, **claims}, ACCESS_TOKEN)


def machine_token(client_id: str, machine: Machine, scopes: list[str], jkt: str = "") -> str:
    claims: dict[str, Any] = {
        "sub": client_id + MACHINE,
        "aud": machine.audience,
        "exp": int(time.time()) + machine.lifetime,
        "azp": client_id,
        "client_id": client_id,
        "gty": "client-credentials",
        "jti": secrets.token_urlsafe(16),
    }
    if machine.with_permissions:
        claims["permissions"] = scopes
    return sign({**claims, **_held_by(jkt), **({"scope": " ".join(scopes)} if scopes else {})}, ACCESS_TOKEN)


def browser_answer(grant: Grant, wanted: Set[str], code: str = "") -> dict[str, Any]:
    """The tokens that come straight from /authorize; empty when the app wants a code alone."""
    body: dict[str, Any] = {}
    if "token" in wanted:
        body["access_token"] = access_token(grant)
        body |= {"token_type": "Bearer", "expires_in": grant.lifetime, "scope": grant.scope}
    if "id_token" in wanted:
        body["id_token"] = id_token(grant, at_hash=body.get("access_token", ""), c_hash=code)
    return body


def id_token(grant: Grant, **beside: str) -> str:
    """`beside`: what is sent together with it, under the name of the claim that holds it to that."""
    claims: dict[str, Any] = {
        "sub": grant.sub,
        "aud": grant.client_id,
        "exp": int(time.time()) + ID_TOKEN_LIFETIME,
    }
    said = {"sid": grant.sid, "nonce": grant.nonce, "auth_time": grant.auth_time, "amr": grant.amr, "acr": grant.acr}
    claims |= {name: value for name, value in said.items() if value}
    claims |= {name: half_hash(value) for name, value in beside.items() if value}
    return sign({**grant.id_token, **claims})


def answer(grant: Grant, refresh_token: str = "") -> dict[str, Any]:
    """What the token endpoint gives for a customer's grant."""
    body: dict[str, Any] = {"access_token": access_token(grant)}
    if refresh_token:
        body["refresh_token"] = refresh_token
    if "openid" in grant.scopes:
        body["id_token"] = id_token(grant)
    return {**body, "scope": grant.scope, "expires_in": grant.lifetime, "token_type": type_of(grant.jkt)}


def type_of(jkt: str) -> str:
    """What the Authorization header that carries the token begins with."""
    return "DPoP" if jkt else "Bearer"


def _held_by(jkt: str) -> dict[str, Any]:
    return {"cnf": {"jkt": jkt}} if jkt else {}


def half_hash(value: str) -> str:
    """at_hash and c_hash: the left half of the SHA-256, base64url (OpenID Core 3.3.2.11)."""
    return base64.urlsafe_b64encode(hashlib.sha256(value.encode()).digest()[:16]).rstrip(b"=").decode()


def _audience(grant: Grant) -> str | list[str]:
    if not grant.audience:
        return userinfo_audience()
    if "openid" in grant.scopes:
        return [grant.audience, userinfo_audience()]
    return grant.audience
