"""Client authentication at the token endpoint and its neighbours (RFC 6749, 2.3), and DPoP proofs at the token endpoint."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import unquote, unquote_plus

from regulars.base.errors import DomainError
from regulars.base.tokens import dpop
from regulars.clients.cache import find_client, has_a_secret, has_secret, is_public
from regulars.clients.models import Client

from .client_assertion import find_client_by_assertion, unverified_subject
from .protocol_errors import OAuthError

FAILED = "The client is unknown, or did not authenticate as it is registered to."
AUTHENTICATION_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]


def authenticate_client(params: Mapping[str, str], headers: Mapping[str, str], *, allow_public: bool = True) -> Client:
    """Return the client that sends the request.

    A client with a secret may send it in the header or in the body, as Auth0 allows; one without may send none.
    Raises `OAuthError("invalid_client", status=401)`, which is `access_denied` in Auth0's dialect, and in both dialects for a
    request that names two clients: code that reads only one of the names would take it for the other.
    `allow_public=False` refuses clients that cannot authenticate.
    """
    basic = _basic_credentials(headers)
    if _names_several(params, basic):
        raise OAuthError("invalid_client", "The request names more than one client.", 401, _challenge(headers))
    in_body = (params.get("client_id", ""), params.get("client_secret", ""))
    sent = [(client_id, secret) for client_id, secret in (*basic, in_body) if client_id and secret]
    for client_id, secret in sent:
        client = find_client(client_id)
        if client and has_a_secret(client) and has_secret(client, secret):
            return client
    client = find_client_by_assertion(params)
    if client is None and allow_public and params.get("client_id") and not params.get("client_secret"):
        client = find_client(params["client_id"])
        client = client if client and is_public(client) else None
    if client is None:
        raise OAuthError("access_denied", FAILED, 401, _challenge(headers), standard="invalid_client")
    return client


def named_client(params: Mapping[str, str], headers: Mapping[str, str]) -> Client | None:
    """Return the client that a request names, whether it authenticates or not; None when it names none or several."""
    basic = _basic_credentials(headers)
    if _names_several(params, basic):
        return None
    named = [client_id for client_id, _ in basic] or list(_named_in_body(params))
    return next(filter(None, map(find_client, named)), None)


def _names_several(params: Mapping[str, str], basic: list[tuple[str, str]]) -> bool:
    named = _named_in_body(params)
    return len(named) > 1 or bool(basic and not named <= {client_id for client_id, _ in basic})


def _named_in_body(params: Mapping[str, str]) -> set[str]:
    return {params.get("client_id", ""), unverified_subject(params.get("client_assertion", ""))} - {""}


def _basic_credentials(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the credentials of the header, read in each way in which clients write them; empty without an id.

    RFC 6749, 2.3.1 has them form-encoded, where a space is `+`. Many clients only percent-encode, or send them as they are.
    """
    scheme, _, encoded = headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
    except ValueError:
        return []
    read = [(decode(client_id), decode(secret)) for decode in (unquote_plus, unquote, str)]
    return list(dict.fromkeys(read)) if client_id else []


def _challenge(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the challenge that is due when the client used the Authorization header (RFC 6749, 5.2)."""
    is_basic = headers.get("Authorization", "").strip().partition(" ")[0].lower() == "basic"
    return {"WWW-Authenticate": 'Basic realm="token"'} if is_basic else {}


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
