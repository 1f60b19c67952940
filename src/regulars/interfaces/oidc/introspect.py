"""/oauth/introspect: what a token is worth now, told to the app it belongs to or the API it is for (RFC 7662)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from regulars.base.errors import DomainError
from regulars.base.tokens.jwt import verify
from regulars.clients.cache import find_machine, is_public
from regulars.clients.models import Client

from . import protocol, refresh
from .cors import open_to_scripts
from .errors import OAuthError
from .token import answer_json, read_params
from .tokens import ACCESS_TOKEN, MACHINE
from .visitor import find_present

TOLD = ("iss", "sub", "aud", "exp", "iat", "client_id", "scope", "jti", "sid", "cnf", "permissions")
NOTHING: dict[str, Any] = {"active": False}


@open_to_scripts("POST")
def introspect(request: HttpRequest) -> HttpResponse:
    """Whoever may not know of a token hears the same as of one that does not exist."""
    try:
        params = read_params(request)
        client = protocol.authenticate(params, request.headers)
        if is_public(client):
            raise OAuthError("access_denied", "Unauthorized", 401)
        if not params.get("token"):
            raise OAuthError("invalid_request", "Missing required parameter: token")
    except OAuthError as refusal:
        return answer_json(protocol.no(refusal))
    told = _access_token(params["token"], client) or _refresh_token(params["token"], client) or NOTHING
    return answer_json(protocol.Answer(200, told, {}))


def _access_token(token: str, client: Client) -> dict[str, Any] | None:
    try:
        claims = verify(token, typ=ACCESS_TOKEN)
    except DomainError:
        return None
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    is_its_api = any(find_machine((client.pk, audience)) for audience in audiences)
    if not (claims.get("client_id") == client.pk or is_its_api) or not _is_here(str(claims["sub"])):
        return None
    kind = "DPoP" if "cnf" in claims else "Bearer"
    return {"active": True, "token_type": kind, **{name: claims[name] for name in TOLD if name in claims}}


def _refresh_token(token: str, client: Client) -> dict[str, Any] | None:
    found = refresh.look(token, client)
    if found is None:
        return None
    grant = found.grant
    return {
        "active": True,
        "client_id": client.pk,
        "sub": grant.sub,
        "scope": grant.scope,
        "exp": int(min(found.token.expires_at, found.family.expires_at).timestamp()),
    }


def _is_here(sub: str) -> bool:
    return sub.endswith(MACHINE) or find_present(sub) is not None
