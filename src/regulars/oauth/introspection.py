"""Token introspection (RFC 7662): whether a token is valid now, for its own app or for the API it is meant for."""

from __future__ import annotations

from typing import Any

from regulars.base.errors import DomainError
from regulars.base.tokens.jwt import verify
from regulars.base.tokens.kinds import TokenKind, client_of
from regulars.clients.cache import find_api_access, find_client
from regulars.clients.models import Client
from regulars.profiles.find import find_by_user_id
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import sign_in_block

from . import refresh_tokens
from .revoked_grants import refuse_revoked
from .tokens import CLIENT_SUB, token_type

DISCLOSED = ("iss", "sub", "aud", "exp", "iat", "client_id", "scope", "jti", "sid", "cnf", "permissions")


def introspect(token: str, client: Client) -> dict[str, Any]:
    """Return the claims of a valid token. To any other client the answer is that of an unknown token."""
    if access_token := _access_token(token, client):
        return access_token
    usable = refresh_tokens.peek(token, client)
    if usable is None:
        return {"active": False}
    return {
        "active": True,
        "client_id": client.pk,
        "sub": usable.grant.sub,
        "scope": usable.grant.scope,
        "exp": int(min(usable.token.expires_at, usable.family.expires_at).timestamp()),
    }


def _access_token(token: str, client: Client) -> dict[str, Any] | None:
    try:
        claims = verify(token, kinds=[TokenKind.ACCESS])
        refuse_revoked(claims)
    except DomainError:
        return None
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    is_its_api = any(find_api_access((client.pk, audience)) for audience in audiences)
    sub = str(claims["sub"])
    if not (client_of(claims) == client.pk or is_its_api) or any(map(find_client, audiences)):
        return None
    is_of_client = sub == client_of(claims) + CLIENT_SUB  # a customer's id may end in that too: a provider chose it
    if not is_of_client and find_active_customer(sub) is None:
        return None
    known = {**claims, "client_id": client_of(claims)}
    disclosed = {name: known[name] for name in DISCLOSED if name in known}
    return {"active": True, "token_type": token_type(claims.get("cnf", {}).get("jkt", "")), **disclosed}


def find_active_customer(sub: str) -> Profile | None:
    """Return the customer that a token's `sub` names today, if they may sign in."""
    profile = find_by_user_id(sub)
    return None if profile is None or sign_in_block(profile) else profile
