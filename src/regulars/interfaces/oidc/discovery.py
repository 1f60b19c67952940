"""Discovery: the metadata of this OpenID Provider, and the public keys of its signatures."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from regulars.base.tokens import dpop
from regulars.base.tokens.jwt import ALGORITHM, public_jwks
from regulars.oauth.authorization_request import MULTI_FACTOR, OPENID_SCOPES, PROMPTS, RESPONSE_MODES, RESPONSE_TYPES
from regulars.oauth.claims import CLAIMS_BY_SCOPE
from regulars.oauth.client_assertion import ALGORITHMS
from regulars.oauth.client_authentication import AUTHENTICATION_METHODS
from regulars.oauth.grant import IMPLICIT
from regulars.usecases.issue_tokens import GRANT_HANDLERS

from .endpoint import endpoint, plain_json

PROTOCOL_CLAIMS = ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid"]


@endpoint("GET")
def openid_configuration(request: HttpRequest) -> HttpResponse:
    issuer = settings.ISSUER
    registration = {"registration_endpoint": f"{issuer}oidc/register"} if settings.DYNAMIC_REGISTRATION else {}
    document = {
        **registration,
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}authorize",
        "token_endpoint": f"{issuer}oauth/token",
        "userinfo_endpoint": f"{issuer}userinfo",
        "jwks_uri": f"{issuer}.well-known/jwks.json",
        "revocation_endpoint": f"{issuer}oauth/revoke",
        "device_authorization_endpoint": f"{issuer}oauth/device/code",
        "introspection_endpoint": f"{issuer}oauth/introspect",
        "introspection_endpoint_auth_methods_supported": AUTHENTICATION_METHODS[:-1],
        "pushed_authorization_request_endpoint": f"{issuer}oauth/par",
        "require_pushed_authorization_requests": False,
        "end_session_endpoint": f"{issuer}oidc/logout",
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "scopes_supported": list(OPENID_SCOPES),
        "response_types_supported": list(RESPONSE_TYPES),
        "response_modes_supported": list(RESPONSE_MODES),
        "grant_types_supported": [*GRANT_HANDLERS, IMPLICIT],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "userinfo_signing_alg_values_supported": [ALGORITHM],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": AUTHENTICATION_METHODS,
        "revocation_endpoint_auth_methods_supported": AUTHENTICATION_METHODS,
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "prompt_values_supported": list(PROMPTS),
        "claims_supported": [*PROTOCOL_CLAIMS, *(claim for names in CLAIMS_BY_SCOPE.values() for claim in names)],
        "dpop_signing_alg_values_supported": dpop.ALGORITHMS,
        "acr_values_supported": [MULTI_FACTOR],
        "claims_parameter_supported": True,
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }
    return plain_json(document, headers={"Cache-Control": "public, max-age=300"})


@csrf_exempt
def metadata_of_issuer(request: HttpRequest, issuer_path: str) -> HttpResponse:
    """Answer at the address of RFC 8414, 3.1, which has the path of the issuer at its end."""
    if issuer_path.strip("/") != urlsplit(settings.ISSUER).path.strip("/"):
        raise Http404("There is no issuer with this path.")
    return openid_configuration(request)


@endpoint("GET")
def jwks(request: HttpRequest) -> HttpResponse:
    return plain_json(public_jwks(), headers={"Cache-Control": "public, max-age=300"})
