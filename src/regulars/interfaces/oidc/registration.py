"""/oidc/register: apps register themselves (RFC 7591). It is closed unless the operator opens it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse

from regulars.base.errors import DomainError
from regulars.base.json_reader import UnreadableJson, read_json
from regulars.base.json_values import same_json
from regulars.base.text import storable
from regulars.base.tokens.jwt import ALGORITHM
from regulars.clients.models import Client
from regulars.clients.register import ClientSpec, register_third_party
from regulars.oauth.client_assertion import ALGORITHMS
from regulars.oauth.protocol_errors import OAuthError

from .endpoint import LARGEST_BODY, endpoint, json_response

Metadata = Mapping[str, Any]
GRANTS = ("authorization_code", "refresh_token")
RESPONSE_TYPES = ["code"]
# The values of a field that are kept as promised here. An app that registers another one would rely on something that does
# not happen, so it is refused; a field that is not known at all is left out of the answer (RFC 7591, 2).
# Not here: `request_object_signing_alg` and its neighbours, which libraries send unasked. They promise that other request objects
# are rejected, and all are.
HELD: Mapping[str, Collection[Any]] = {
    "application_type": ("web", "native"),
    "subject_type": ("public",),
    "id_token_signed_response_alg": (ALGORITHM,),
    "userinfo_signed_response_alg": (ALGORITHM,),
    "token_endpoint_auth_signing_alg": ALGORITHMS,
    "require_auth_time": (True, False),  # every ID token says when the customer signed in
    "backchannel_logout_session_required": (True, False),  # every logout token has a `sid`
    "require_signed_request_object": (False,),
    "tls_client_certificate_bound_access_tokens": (False,),
    "default_acr_values": ([],),
    **dict.fromkeys(
        (
            "id_token_encrypted_response_alg",
            "id_token_encrypted_response_enc",
            "userinfo_encrypted_response_alg",
            "userinfo_encrypted_response_enc",
            "introspection_signed_response_alg",
            "introspection_encrypted_response_alg",
            "introspection_encrypted_response_enc",
            "authorization_signed_response_alg",
            "authorization_encrypted_response_alg",
            "authorization_encrypted_response_enc",
        ),
        (),
    ),
}
ECHOED = ("application_type", "subject_type", "id_token_signed_response_alg")


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
        raise _invalid("The body is a JSON object of reasonable length.")
    metadata = {name: value for name, value in metadata.items() if value is not None}
    _refuse_what_does_not_hold(metadata)
    try:
        client, secret = register_third_party(_spec_of(metadata), native=metadata.get("application_type") == "native")
    except DomainError as refused:
        name = "invalid_redirect_uri" if refused.field == "redirect_uris" else "invalid_client_metadata"
        raise OAuthError(name, refused.message) from None
    registered = {**_document(client), **{name: metadata[name] for name in ECHOED if name in metadata}}
    return json_response(registered | ({"client_secret": secret, "client_secret_expires_at": 0} if secret else {}), 201)


def _document(client: Client) -> dict[str, Any]:
    """Return the metadata that is registered, with what was filled in (RFC 7591, 3.2.1)."""
    optional = {
        "post_logout_redirect_uris": client.logout_uris,
        "backchannel_logout_uri": client.backchannel_logout_uri,
        "jwks": {"keys": client.public_keys} if client.public_keys else None,
        "jwks_uri": client.jwks_uri,
        "initiate_login_uri": client.initiate_login_uri,
        "userinfo_signed_response_alg": client.userinfo_algorithm,
        "token_endpoint_auth_signing_alg": client.assertion_algorithm,
        "require_pushed_authorization_requests": client.requires_par,
        "dpop_bound_access_tokens": client.requires_dpop,
    }
    return {
        "client_id": client.pk,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "response_types": RESPONSE_TYPES,
        "token_endpoint_auth_method": client.auth_method,
        "client_id_issued_at": int(client.created_at.timestamp()),
        **{name: value for name, value in optional.items() if value},
        **({} if client.default_max_age is None else {"default_max_age": client.default_max_age}),
    }


def _refuse_what_does_not_hold(metadata: Metadata) -> None:
    for name, held in HELD.items():
        if name in metadata and not any(same_json(metadata[name], value) for value in held):
            choices = " or ".join(str(value) for value in held)
            raise _invalid(f"{name}: this value is not supported. {f'Use {choices}' if choices else 'Leave it out'}.")


def _spec_of(metadata: Metadata) -> ClientSpec:
    grants = _texts(metadata, "grant_types", ["authorization_code"])
    if any(grant not in GRANTS for grant in grants):  # client credentials, and the implicit grant
        raise _invalid(f"An app that registers itself may use {' and '.join(GRANTS)}.")
    if "authorization_code" not in grants or _texts(metadata, "response_types", RESPONSE_TYPES) != RESPONSE_TYPES:
        raise _invalid("grant_types has authorization_code, and response_types is code alone: the two belong together.")
    redirect_uris = _texts(metadata, "redirect_uris", [])
    if not redirect_uris:
        raise _invalid("redirect_uris: an app that uses codes needs at least one address where browsers return.")
    return ClientSpec(
        name=_text(metadata, "client_name", _name_from(redirect_uris[0])),
        auth_method=_text(metadata, "token_endpoint_auth_method", "client_secret_basic"),
        grant_types=grants,
        redirect_uris=redirect_uris,
        logout_uris=_texts(metadata, "post_logout_redirect_uris", []),
        public_keys=_keys(metadata),
        jwks_uri=_text(metadata, "jwks_uri", ""),
        initiate_login_uri=_text(metadata, "initiate_login_uri", ""),
        default_max_age=_seconds(metadata, "default_max_age"),
        userinfo_algorithm=_text(metadata, "userinfo_signed_response_alg", ""),
        assertion_algorithm=_text(metadata, "token_endpoint_auth_signing_alg", ""),
        backchannel_logout_uri=_text(metadata, "backchannel_logout_uri", ""),
        first_party=False,
        requires_par=_switch(metadata, "require_pushed_authorization_requests"),
        requires_dpop=_switch(metadata, "dpop_bound_access_tokens"),
        metadata={"made_by": "registration"},
    )


def _name_from(redirect_uri: str) -> str:
    """Return the name of an app that sent none: customers who are asked for consent read where their data goes."""
    try:
        parts = urlsplit(redirect_uri)
    except ValueError:
        return "?"  # the address is refused by its own check
    return (parts.hostname or parts.scheme or "?")[:100]


def _keys(metadata: Metadata) -> list[dict[str, Any]]:
    if "jwks_uri" in metadata and "jwks" in metadata:
        raise _invalid("Send jwks or jwks_uri, not both (RFC 7591, 2).")
    jwks = metadata.get("jwks", {"keys": []})
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise _invalid("jwks: a JSON Web Key Set is an object with a list of keys (RFC 7517).")
    algorithm = metadata.get("token_endpoint_auth_signing_alg")
    kind = "EC" if algorithm == "ES256" else "RSA"
    if algorithm and any(key.get("kty") != kind or key.get("alg", algorithm) != algorithm for key in keys):
        raise _invalid(f"token_endpoint_auth_signing_alg: every key in jwks is for {algorithm}.")
    return keys


def _switch(metadata: Metadata, name: str) -> bool:
    value = metadata.get(name, False)
    if not isinstance(value, bool):
        raise _invalid(f"{name} is true or false.")
    return value


def _seconds(metadata: Metadata, name: str) -> int | None:
    value = metadata.get(name)
    if value is not None and (type(value) is not int or value < 0):
        raise _invalid(f"{name} is a number of seconds.")
    return value


def _text(metadata: Metadata, name: str, otherwise: str) -> str:
    value = metadata.get(name, otherwise)
    if not isinstance(value, str) or value != storable(value):
        raise _invalid(f"{name} is not a text.")
    return value


def _texts(metadata: Metadata, name: str, otherwise: list[str]) -> list[str]:
    value = metadata.get(name, otherwise)
    if not isinstance(value, list):
        raise _invalid(f"{name} is not a list of texts.")
    return [_text({name: each}, name, "") for each in value]


def _invalid(description: str) -> OAuthError:
    return OAuthError("invalid_client_metadata", description)
