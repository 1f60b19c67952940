"""DPoP (RFC 9449): a token is bound to a key of the app, so that a copied token is of no use without the key.

Error codes are those of RFC 9449.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from regulars.base.errors import DomainError, Invalid

from .single_use import consume_jti

ALGORITHMS = ["ES256", "RS256", "PS256"]
KEYS: dict[str, type[ECKey] | type[RSAKey]] = {"EC": ECKey, "RSA": RSAKey}
TYPE = "dpop+jwt"
FRESH = 300  # seconds after its making in which a proof is accepted and its jti is remembered
LEEWAY = 30  # seconds the app's clock may be ahead
NONCE_LIFETIME = 300  # seconds; the previous nonce is still accepted
LONGEST = 8192
# Every other error of a token is `invalid_token` (RFC 6750, 3.1).
CHALLENGE_ERRORS = ("invalid_dpop_proof", "use_dpop_nonce", "invalid_request", "insufficient_scope")


def thumbprint_of(
    headers: Mapping[str, str], method: str, path: str, *, access_token: str = "", needs_nonce: bool = False
) -> str:
    """Return the thumbprint of the key that signed the proof of this request; empty without a proof.

    `path` is without its first slash and percent signs. Raises `DomainError`: `invalid_dpop_proof`, or `use_dpop_nonce` when
    the proof lacks the nonce that `nonce()` gives out now.
    """
    proof = headers.get("DPoP", "")
    if not proof:
        return ""
    key, claims = _read(proof)
    url = claims.get("htu")
    is_this_url = isinstance(url, str) and unquote(url.partition("?")[0].partition("#")[0]) == settings.ISSUER + path
    if claims.get("htm") != method or not is_this_url:
        raise _bad("it is for another request")
    at, jti = claims.get("iat"), claims.get("jti")
    if not isinstance(at, int | float) or not -FRESH < at - time.time() < LEEWAY:
        raise _bad("it is not fresh")
    if access_token:
        hashed = base64.urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()).rstrip(b"=").decode()
        if claims.get("ath") != hashed:
            raise _bad("it is for another token")
    sent = claims.get("nonce")
    if sent is not None or needs_nonce:
        known = [nonce(ago).encode() for ago in (0, 1)]
        if not isinstance(sent, str) or not any(hmac.compare_digest(sent.encode(), each) for each in known):
            raise Invalid("use_dpop_nonce", "Authorization server requires nonce in DPoP proof")
    thumbprint = str(key.thumbprint())
    if not isinstance(jti, str) or not jti or not consume_jti(f"dpop:{thumbprint}:{jti}", time.time() + FRESH + LEEWAY):
        raise _bad("it was used before")
    return thumbprint


def credential_of(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return scheme ("bearer" or "dpop") and token of the Authorization header; both empty for anything else."""
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return (kind.lower(), token.strip()) if kind.lower() in ("bearer", "dpop") and token.strip() else ("", "")


def check_holder(
    claims: Mapping[str, Any], kind: str, token: str, headers: Mapping[str, str], method: str, path: str
) -> None:
    """Check that a token bound to a key comes with a proof of that key, and that only such a token comes as DPoP.

    Raises `DomainError`: `dpop_proof_required` for a bound token as bearer, `invalid_token` for one that is
    bound to another key, and the errors of `thumbprint_of`.
    """
    jkt = claims.get("cnf", {}).get("jkt", "")
    if kind == "bearer":
        if jkt:
            raise Invalid(
                "dpop_proof_required", "This token is bound to a key: send it as DPoP, with a proof of that key."
            )
        return
    if not jkt or thumbprint_of(headers, method, path, access_token=token) != jkt:
        raise Invalid("invalid_token", "This token comes with a DPoP proof of the key it is bound to.")


def challenge(refused: DomainError, kind: str = "DPoP", *, scope: str = "") -> dict[str, str]:
    """Return the headers of a response that describe the error of the token or its proof; `scope` is what a token needs."""
    error = refused.code if refused.code in CHALLENGE_ERRORS else "invalid_token"
    more = (f', scope="{scope}"' if scope else "") + (f', algs="{" ".join(ALGORITHMS)}"' if kind == "DPoP" else "")
    headers = {"WWW-Authenticate": f'{kind} error="{error}", error_description="{refused.message}"{more}'}
    return {**headers, "DPoP-Nonce": nonce()} if error == "use_dpop_nonce" else headers


def nonce(windows_ago: int = 0) -> str:
    """Return the nonce of a time window. It is the same in every process, and cannot be computed in advance."""
    window = int(time.time()) // NONCE_LIFETIME - windows_ago
    key = f"regulars.dpop:{settings.SECRET_KEY}".encode()
    return base64.urlsafe_b64encode(hmac.new(key, str(window).encode(), hashlib.sha256).digest()[:18]).decode()


def _read(proof: str) -> tuple[ECKey | RSAKey, Mapping[str, Any]]:
    if len(proof) > LONGEST or "," in proof:
        raise _bad("there is more than one, or it is too long")
    try:
        header = jws.extract_compact(proof.encode("ascii")).headers()
        public = header.get("jwk")
        if header.get("typ") != TYPE or not isinstance(public, dict) or "d" in public or "k" in public:
            raise _bad("it is not a valid proof")
        key = KEYS[str(public.get("kty"))].import_key(public)
        return key, jwt.decode(proof, key, algorithms=ALGORITHMS).claims
    except (JoseError, ValueError, KeyError, TypeError):
        raise _bad("it is not a valid proof") from None


def _bad(why: str) -> DomainError:
    return Invalid("invalid_dpop_proof", f"The DPoP proof is not good: {why}.")
