"""private_key_jwt: a client authenticates by a signature, so that no secret of it is stored here (RFC 7523)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from regulars.base.json_reader import UnreadableJson, read_json
from regulars.base.tokens.single_use import consume_jti
from regulars.clients.cache import find_client
from regulars.clients.models import Client
from regulars.clients.register import ASSERTION_ALGORITHMS

from .client_keys import keys_of, newer_keys_of

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = list(ASSERTION_ALGORITHMS)
LEEWAY = 60  # seconds that the client's clock may differ from ours
LONGEST_LIFETIME = 3600  # seconds an assertion may be valid for, which is how long its jti is remembered


def find_client_by_assertion(params: Mapping[str, str]) -> Client | None:
    """Return the client that signed the assertion; None unless it is fresh, meant for us and signed by that client."""
    token = params.get("client_assertion", "")
    if params.get("client_assertion_type") != ASSERTION_TYPE or not token:
        return None
    client = find_client(params.get("client_id") or unverified_subject(token))
    if client is None or client.auth_method != Client.AuthMethod.PRIVATE_KEY:
        return None
    claims = _verified(token, keys_of(client), client)
    if claims is None:
        claims = _verified(token, newer_keys_of(client), client)
    if claims is None:
        return None
    if claims.get("iss") != client.pk or claims.get("sub") != client.pk:
        return None
    issuer, audience = settings.ISSUER, claims.get("aud")
    ours = {issuer, issuer.rstrip("/"), f"{issuer}oauth/token", f"{issuer}oauth/par"}
    audiences = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(each, str) and each in ours for each in audiences):
        return None
    now, exp, jti = time.time(), claims.get("exp"), claims.get("jti")
    if not isinstance(exp, int | float) or not now - LEEWAY < exp < now + LONGEST_LIFETIME:
        return None
    starts = [claims[name] for name in ("nbf", "iat") if name in claims]
    if any(not isinstance(start, int | float) or start > now + LEEWAY for start in starts):
        return None
    is_new = isinstance(jti, str) and jti and consume_jti(f"assertion:{client.pk}:{jti}", exp + LEEWAY)
    return client if is_new else None


def _verified(token: str, keys: KeySet | None, client: Client) -> dict[str, Any] | None:
    """Return the claims when one of these keys signed them, with the algorithm that the client registered."""
    algorithms = [client.assertion_algorithm] if client.assertion_algorithm else ALGORITHMS
    try:
        return dict(jwt.decode(token, keys, algorithms=algorithms).claims) if keys else None
    except (JoseError, ValueError, TypeError):
        return None


def unverified_subject(token: str) -> str:
    """Return the client id in the assertion, or an empty text. It is trusted only after the signature was checked with that client's keys."""
    if not token:
        return ""
    try:
        payload = read_json(jws.extract_compact(token.encode("ascii")).payload)
    except (JoseError, UnreadableJson, ValueError):
        return ""
    subject = payload.get("sub", "") if isinstance(payload, dict) else ""
    return subject if isinstance(subject, str) else ""
