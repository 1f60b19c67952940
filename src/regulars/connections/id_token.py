"""The ID token of a provider: signature, recipient, times and nonce (OpenID Connect Core 1.0, 3.1.3.7)."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey
from joserfc.jws import JWSRegistry, extract_compact

from regulars.base.json_reader import MAX_DEPTH, is_deeper

from .provider import Raw

CLOCK_SKEW = 60  # seconds by which a provider's clock may differ
LONGEST_TOKEN = 64 * 1024  # characters
LONGEST_HEADER = 16_000  # certificates in the header exceed joserfc's default of 512 bytes
ASYMMETRIC = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
BY_SECRET = ["HS256", "HS384", "HS512"]  # signed with the client's secret, as some providers are set up


class UnknownKeyError(ValueError):
    """None of the provider's keys has the id that the token names: the provider may have made a new one."""


class IdTokenError(ValueError):
    """The ID token cannot be accepted. The message names no part of it."""


class WrongNonceError(IdTokenError):
    """The ID token belongs to another sign-in."""


@dataclass(frozen=True)
class ExpectedToken:
    """What an ID token must say. `nonce` is empty for a provider that does not repeat one."""

    issuer: str
    client_id: str
    secret: str
    nonce: str


def verified_claims(token: str, keys: Mapping[str, Any], expected: ExpectedToken) -> Raw:
    """Return the claims of an ID token that is signed by one of `keys` (a JSON Web Key Set) and meant for this sign-in.

    The signature is checked although the token comes straight from the token endpoint (3.1.3.7, point 6, would not ask for
    it): what proves who signs in must not rest on the connection alone. Raises `IdTokenError`, `UnknownKeyError`, or
    joserfc's errors.
    """
    if len(token) > LONGEST_TOKEN:
        raise IdTokenError("The ID token is too long.")
    claims = dict(_verified(token, keys, expected.secret))
    if is_deeper(claims, MAX_DEPTH):
        raise IdTokenError("The ID token is nested too deeply.")
    if claims.get("iss") != expected.issuer:
        raise IdTokenError("The ID token is of another issuer.")
    _check_audience(claims, expected.client_id)
    _check_times(claims)
    if expected.nonce and claims.get("nonce") != expected.nonce:
        raise WrongNonceError("The ID token belongs to another sign-in.")
    return claims


def _verified(token: str, keys: Mapping[str, Any], secret: str) -> Mapping[str, Any]:
    registry = JWSRegistry(algorithms=[*ASYMMETRIC, *BY_SECRET])
    registry.max_header_length = registry.max_signature_length = LONGEST_HEADER
    registry.max_payload_length = LONGEST_TOKEN
    header = extract_compact(token.encode("ascii"), registry=registry).headers()
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm in BY_SECRET:
        if not secret:
            raise IdTokenError("The ID token is signed with a secret that this connection does not have.")
        return jwt.decode(token, OctKey.import_key(secret), BY_SECRET, registry).claims
    if algorithm not in ASYMMETRIC:
        raise IdTokenError("The ID token is not signed by an algorithm that is accepted.")
    # A published secret is none, so no key of the kind "oct" counts.
    published = [each for each in keys["keys"] if isinstance(each, dict) and each.get("kty") != "oct"]
    usable = [
        key
        for key in KeySet.import_key_set({"keys": published}).keys
        if kid in (None, key.kid) and key.get("use", "sig") == "sig"
    ]
    if not usable:
        raise UnknownKeyError("The ID token is signed by a key that the provider does not publish.")
    for key in usable[:-1]:  # without an id in the header any of them may be the one
        try:
            return jwt.decode(token, key, ASYMMETRIC, registry).claims
        except (JoseError, ValueError):
            continue
    return jwt.decode(token, usable[-1], ASYMMETRIC, registry).claims


def _check_audience(claims: Raw, client_id: str) -> None:
    audience, party = claims.get("aud"), claims.get("azp")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences or not all(isinstance(each, str) for each in audiences):
        raise IdTokenError("The ID token is meant for another client.")
    if party != client_id and (party is not None or len(audiences) > 1):
        raise IdTokenError("The ID token was issued to another client.")


def _check_times(claims: Raw) -> None:
    now = time.time()
    for name, is_required in (("exp", True), ("iat", True), ("nbf", False)):
        value = claims.get(name)
        if value is None and not is_required:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise IdTokenError(f"The ID token has no usable {name}.")
        if value <= now - CLOCK_SKEW if name == "exp" else value > now + CLOCK_SKEW:
            raise IdTokenError("The ID token is not valid now.")


def token_id(claims: Raw) -> tuple[str, float] | None:
    """Return what names this very token, and for how many seconds it could be used again; None without a `jti`."""
    if not claims.get("jti"):
        return None
    lifetime = min(float(claims["exp"]) - time.time(), 24 * 3600.0)
    return json.dumps([claims["iss"], claims["jti"]]), lifetime + CLOCK_SKEW
