"""/oidc/register: apps that register themselves (RFC 7591). Closed unless the operator opens it."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse

from regulars.base.errors import DomainError
from regulars.base.text import storable
from regulars.clients.register import App, register

from .cors import open_to_scripts
from .errors import OAuthError
from .protocol import Answer, no
from .token import LARGEST_BODY, answer_json

GRANTS = ("authorization_code", "refresh_token")


@open_to_scripts("POST")
def register_client(request: HttpRequest) -> HttpResponse:
    """A new app of somebody else: customers are asked before it gets anything of theirs."""
    if not settings.DYNAMIC_REGISTRATION:
        return answer_json(no(OAuthError("access_denied", "Apps cannot register themselves here.", 403)))
    try:
        client, secret = register(_app(_metadata(request)))
    except OAuthError as refusal:
        return answer_json(no(refusal))
    except DomainError as refused:
        name = "invalid_redirect_uri" if refused.code == "bad_address" else "invalid_client_metadata"
        return answer_json(no(OAuthError(name, refused.message)))
    body = {
        "client_id": client.pk,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "response_types": ["code"],
        "token_endpoint_auth_method": client.auth_method,
        "client_id_issued_at": int(client.created_at.timestamp()),
    }
    return answer_json(
        Answer(201, body | ({"client_secret": secret, "client_secret_expires_at": 0} if secret else {}), {})
    )


def _metadata(request: HttpRequest) -> dict[str, Any]:
    try:
        text = request.body.decode()
        found = json.loads(text) if len(text) <= LARGEST_BODY else None
    except (RequestDataTooBig, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise OAuthError("invalid_client_metadata", "The body is a JSON object of reasonable length.")
    return found


def _app(said: dict[str, Any]) -> App:
    keys = said.get("jwks") or {}
    return App(
        name=_text(said.get("client_name", "")),
        auth_method=_text(said.get("token_endpoint_auth_method", "client_secret_basic")),
        grant_types=_few(_texts(said.get("grant_types", ["authorization_code"]))),
        redirect_uris=_texts(said.get("redirect_uris", [])),
        logout_uris=_texts(said.get("post_logout_redirect_uris", [])),
        public_keys=keys.get("keys", []) if isinstance(keys, dict) and isinstance(keys.get("keys", []), list) else [],
        backchannel_logout_uri=_text(said.get("backchannel_logout_uri", "")),
        first_party=False,
        metadata={"made_by": "registration"},
    )


def _few(grants: list[str]) -> list[str]:
    """What a stranger may have: no machine's tokens, none straight from the browser."""
    beyond = [grant for grant in grants if grant not in GRANTS]
    if beyond:
        raise OAuthError("invalid_client_metadata", f"An app that registers itself may use {' and '.join(GRANTS)}.")
    return grants


def _text(value: Any) -> str:
    if not isinstance(value, str) or value != storable(value):
        raise OAuthError("invalid_client_metadata", "A field is not a text.")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise OAuthError("invalid_client_metadata", "A field is not a list of texts.")
    return [_text(each) for each in value]
