"""What this provider can do, and the keys to check what it signed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from regulars.base.tokens import dpop
from regulars.base.tokens.jwt import ALGORITHM, public_jwks

from .asking import IMPLICIT, OPENID_SCOPES, PROMPTS, RESPONSE_MODES, RESPONSE_TYPES
from .assertion import ALGORITHMS
from .cors import open_to_scripts
from .grants import DEVICE_CODE, EMAIL_CODE
from .protocol import AUTHENTICATION
from .tokens import CLAIMS
from .visitor import MULTI_FACTOR

PROTOCOL_CLAIMS = ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid"]
GRANT_TYPES = ["authorization_code", "refresh_token", "client_credentials", IMPLICIT, DEVICE_CODE, EMAIL_CODE]


@open_to_scripts("GET")
def openid_configuration(request: HttpRequest) -> HttpResponse:
    return JsonResponse(_document(settings.ISSUER), headers={"Cache-Control": "public, max-age=300"})


@open_to_scripts("GET")
def jwks(request: HttpRequest) -> HttpResponse:
    return JsonResponse(public_jwks(), headers={"Cache-Control": "public, max-age=300"})


def _document(issuer: str) -> dict[str, Any]:
    registration = {"registration_endpoint": f"{issuer}oidc/register"} if settings.DYNAMIC_REGISTRATION else {}
    return {
        **registration,
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}authorize",
        "token_endpoint": f"{issuer}oauth/token",
        "userinfo_endpoint": f"{issuer}userinfo",
        "jwks_uri": f"{issuer}.well-known/jwks.json",
        "revocation_endpoint": f"{issuer}oauth/revoke",
        "device_authorization_endpoint": f"{issuer}oauth/device/code",
        "introspection_endpoint": f"{issuer}oauth/introspect",
        "introspection_endpoint_auth_methods_supported": AUTHENTICATION[:-1],
        "pushed_authorization_request_endpoint": f"{issuer}oauth/par",
        "require_pushed_authorization_requests": False,
        "end_session_endpoint": f"{issuer}oidc/logout",
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "scopes_supported": list(OPENID_SCOPES),
        "response_types_supported": list(RESPONSE_TYPES),
        "response_modes_supported": list(RESPONSE_MODES),
        "grant_types_supported": GRANT_TYPES,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": AUTHENTICATION,
        "revocation_endpoint_auth_methods_supported": AUTHENTICATION,
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "prompt_values_supported": list(PROMPTS),
        "claims_supported": [*PROTOCOL_CLAIMS, *(claim for names in CLAIMS.values() for claim in names)],
        "dpop_signing_alg_values_supported": dpop.ALGORITHMS,
        "acr_values_supported": [MULTI_FACTOR],
        "claims_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }
