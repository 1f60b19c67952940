"""Signed JSON Web Tokens (RS256) of this installation: made and verified."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from regulars.base.errors import Invalid

from . import keys
from .kinds import TokenKind, kind_of

ALGORITHM = "RS256"
# The claims of a JSON Web Token.
Claims = dict[str, Any]
LEEWAY = 5  # seconds that the clocks of two servers of one installation may differ
CACHED = 1000  # tokens with a verified signature; an app sends the same token many times


def sign(claims: dict[str, Any], typ: str = "JWT") -> str:
    """Return a signed token of these claims. `iss` is this installation and `iat` is now, unless the claims have them.

    The caller sets `exp` (seconds since 1970). `typ` is the header's; `kinds` has those in use.
    """
    key = keys.key_set().current
    payload = {"iss": settings.ISSUER, "iat": int(time.time()), **claims}
    return jwt.encode({"alg": ALGORITHM, "typ": typ, "kid": key.kid}, payload, key, [ALGORITHM])


def verify(
    token: str,
    audience: str | None = None,
    *,
    kinds: Collection[TokenKind] = (),
    typ: str | None = None,
    allow_expired: bool = False,
) -> dict[str, Any]:
    """Return the claims of a token that was signed here. Raises `Invalid`.

    `audience` must be among the token's; `kinds` must have its kind (so that an ID token is no access token); `typ` must be
    its header's.
    `allow_expired` is for logout, where an old ID token is still a valid hint. Codes: `invalid_token`, `expired_token`,
    `wrong_audience`, `wrong_type`.
    """
    try:
        checked = _checked(token)
        if keys.find_key(checked.key.kid or "") is not checked.key:  # revoked since, or read anew
            checked = _check(token)
    except (JoseError, ValueError):
        raise Invalid("invalid_token", "This is not a token of ours.") from None
    if not checked.claims or checked.claims.get("iss") != settings.ISSUER:
        raise Invalid("invalid_token", "This is not a token of ours.")
    claims = dict(checked.claims)
    header_typ = str(checked.header.get("typ", ""))
    if (typ is not None and header_typ.lower() != typ) or (kinds and kind_of(header_typ, claims) not in kinds):
        raise Invalid("wrong_type", "This is another kind of token.")
    audiences = claims.get("aud", [])
    if audience is not None and audience not in ([audiences] if isinstance(audiences, str) else audiences):
        raise Invalid("wrong_audience", "This token is meant for another recipient.")
    now = time.time()
    if not allow_expired and not (claims.get("exp", 0) > now - LEEWAY and claims.get("nbf", 0) <= now + LEEWAY):
        raise Invalid("expired_token", "This token has expired.")
    return claims


def public_jwks() -> dict[str, Any]:
    """Return the public keys as a JSON Web Key Set."""
    return keys.key_set().public()


@dataclass(frozen=True)
class VerifiedToken:
    """A token with a valid signature of `key`. Whether the key is still valid, and the time, is checked at every use."""

    key: RSAKey
    header: dict[str, Any]
    claims: dict[str, Any]


def _check(token: str) -> VerifiedToken:
    header = jws.extract_compact(token.encode("ascii")).headers()
    key = keys.find_key(str(header.get("kid", "")))
    if key is None:
        raise ValueError("the signing key is unknown")
    return VerifiedToken(key, dict(header), dict(jwt.decode(token, key, algorithms=[ALGORITHM]).claims))


_checked = lru_cache(maxsize=CACHED)(_check)  # errors are not cached
