"""/oidc/register: apps register themselves (RFC 7591). It is closed unless the operator opens it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse

from regulars.base.errors import DomainError
from regulars.base.json_reader import UnreadableJson, read_json
from regulars.base.text import storable
from regulars.clients.register import ClientSpec, register_third_party
from regulars.oauth.protocol_errors import OAuthError

from .endpoint import LARGEST_BODY, endpoint, json_response

GRANTS = ("authorization_code", "refresh_token")


@endpoint("POST")
def register_client(request: HttpRequest) -> HttpResponse:
    """Register a third-party app. Customers are asked before it gets their data."""
    if not settings.DYNAMIC_REGISTRATION:
        raise OAuthError("access_denied", "Apps cannot register themselves here.", 403)
    try:
        sent = request.body
        metadata = read_json(sent) if len(sent) <= LARGEST_BODY else None
    except (RequestDataTooBig, UnreadableJson):
        metadata = None
    if not isinstance(metadata, dict):
        raise OAuthError("invalid_client_metadata", "The body is a JSON object of reasonable length.")
    try:
        client, secret = register_third_party(_spec_of(metadata), native=metadata.get("application_type") == "native")
    except DomainError as refused:
        name = "invalid_redirect_uri" if refused.field == "redirect_uris" else "invalid_client_metadata"
        raise OAuthError(name, refused.message) from None
    body = {
        "client_id": client.pk,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "response_types": ["code"],
        "token_endpoint_auth_method": client.auth_method,
        "client_id_issued_at": int(client.created_at.timestamp()),
    }
    return json_response(body | ({"client_secret": secret, "client_secret_expires_at": 0} if secret else {}), 201)


def _spec_of(metadata: dict[str, Any]) -> ClientSpec:
    keys = metadata.get("jwks") or {}
    grants = _texts(metadata.get("grant_types", ["authorization_code"]))
    if any(grant not in GRANTS for grant in grants):  # client credentials, and the implicit grant
        raise OAuthError("invalid_client_metadata", f"An app that registers itself may use {' and '.join(GRANTS)}.")
    return ClientSpec(
        name=_text(metadata.get("client_name", "")),
        auth_method=_text(metadata.get("token_endpoint_auth_method", "client_secret_basic")),
        grant_types=grants,
        redirect_uris=_texts(metadata.get("redirect_uris", [])),
        logout_uris=_texts(metadata.get("post_logout_redirect_uris", [])),
        public_keys=keys.get("keys", []) if isinstance(keys, dict) and isinstance(keys.get("keys", []), list) else [],
        backchannel_logout_uri=_text(metadata.get("backchannel_logout_uri", "")),
        first_party=False,
        metadata={"made_by": "registration"},
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or value != storable(value):
        raise OAuthError("invalid_client_metadata", "A field is not a text.")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise OAuthError("invalid_client_metadata", "A field is not a list of texts.")
    return [_text(each) for each in value]
