"""private_key_jwt: an app proves who it is by a signature, so that no secret of it lies here (RFC 7523)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from regulars.base.tokens import replay
from regulars.clients.cache import find_client
from regulars.clients.models import Client

KIND = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ["RS256", "PS256", "ES256"]
LEEWAY = 60  # seconds our clocks may disagree
LONGEST = 3600  # seconds an assertion may be good for: so long we remember its jti


def client_of(params: Mapping[str, str]) -> Client | None:
    """The client whose signature this is; None for anything that is not fresh, ours and signed by it."""
    token = params.get("client_assertion", "")
    if params.get("client_assertion_type") != KIND or not token:
        return None
    client = find_client(params.get("client_id") or _named_in(token))
    if client is None or client.auth_method != Client.AuthMethod.PRIVATE_KEY or not client.public_keys:
        return None
    try:
        claims = jwt.decode(token, KeySet.import_key_set({"keys": client.public_keys}), algorithms=ALGORITHMS).claims
    except (JoseError, ValueError, TypeError):
        return None
    return client if _is_good(claims, client.pk) else None


def _is_good(claims: Mapping[str, Any], client_id: str) -> bool:
    """Made by this client, for us, now, and never seen before."""
    if claims.get("iss") != client_id or claims.get("sub") != client_id or not _is_for_us(claims.get("aud")):
        return False
    now, exp, jti = time.time(), claims.get("exp"), claims.get("jti")
    if not isinstance(exp, int | float) or not now - LEEWAY < exp < now + LONGEST:
        return False
    begins = [claims[name] for name in ("nbf", "iat") if name in claims]
    if any(not isinstance(begin, int | float) or begin > now + LEEWAY for begin in begins):
        return False
    return isinstance(jti, str) and bool(jti) and replay.use(f"assertion:{client_id}:{jti}", exp + LEEWAY)


def _is_for_us(audience: Any) -> bool:
    ours = {
        settings.ISSUER,
        settings.ISSUER.rstrip("/"),
        f"{settings.ISSUER}oauth/token",
        f"{settings.ISSUER}oauth/par",
    }
    named = audience if isinstance(audience, list) else [audience]
    return any(isinstance(each, str) and each in ours for each in named)


def _named_in(token: str) -> str:
    """Which client it says it is; believed only after the signature was checked with that client's keys."""
    try:
        payload = json.loads(jws.extract_compact(token.encode("ascii")).payload)
    except (JoseError, ValueError):
        return ""
    name = payload.get("sub", "") if isinstance(payload, dict) else ""
    return name if isinstance(name, str) else ""
