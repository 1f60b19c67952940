"""Client authentication at the token endpoint and its neighbours (RFC 6749, 2.3), and DPoP proofs at the token endpoint."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import unquote

from regulars.base.errors import DomainError
from regulars.base.tokens import dpop
from regulars.clients.cache import find_client, has_a_secret, has_secret, is_public
from regulars.clients.models import Client

from .client_assertion import find_client_by_assertion, unverified_subject
from .protocol_errors import OAuthError

AUTHENTICATION_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]


def authenticate_client(params: Mapping[str, str], headers: Mapping[str, str], *, allow_public: bool = True) -> Client:
    """Return the client that sends the request.

    A client with a secret may send it in the header or in the body, as Auth0 allows; one without may send none.
    Raises `OAuthError("access_denied", status=401)`, as Auth0 does, and `invalid_client` for a request that names two
    clients: code that reads only one of the names would take it for the other. `allow_public=False` refuses clients that
    cannot authenticate.
    """
    scheme, _, encoded = headers.get("Authorization", "").strip().partition(" ")
    try:
        decoded = base64.b64decode(encoded).decode() if scheme.lower() == "basic" else ""
    except ValueError:
        decoded = ""
    basic_id, basic_secret = (unquote(part) for part in decoded.partition(":")[::2])
    named = {basic_id, params.get("client_id", ""), unverified_subject(params.get("client_assertion", ""))} - {""}
    if len(named) > 1:
        raise OAuthError("invalid_client", "The request names more than one client.", 401, _challenge(basic_id))
    for client_id, secret in ((basic_id, basic_secret), (params.get("client_id", ""), params.get("client_secret", ""))):
        if client_id and secret:
            client = find_client(client_id)
            if client is None:
                raise _unauthorized(basic_id)
            if has_a_secret(client) and has_secret(client, secret):
                return client
    client = find_client_by_assertion(params)
    if client is None and allow_public and params.get("client_id") and not params.get("client_secret"):
        client = find_client(params["client_id"])
        client = client if client and is_public(client) else None
    if client is None:
        raise _unauthorized(basic_id)
    return client


def _unauthorized(basic_id: str) -> OAuthError:
    return OAuthError("access_denied", "Unauthorized", 401, _challenge(basic_id))


def _challenge(basic_id: str) -> dict[str, str]:
    return {"WWW-Authenticate": 'Basic realm="token"'} if basic_id else {}


def proved_key(params: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """Return the thumbprint of the key that a DPoP proof for the token endpoint proves; empty without a proof.

    A public client must put our nonce into each proof, so that no proof can be made in advance. Raises `OAuthError`.
    """
    client = find_client(params.get("client_id", ""))
    needs_nonce = client is not None and is_public(client)
    try:
        return dpop.thumbprint_of(headers, "POST", "oauth/token", needs_nonce=needs_nonce)
    except DomainError as refused:
        more = {"DPoP-Nonce": dpop.nonce()} if refused.code == "use_dpop_nonce" else {}
        raise OAuthError(refused.code, refused.message, headers=more) from None
