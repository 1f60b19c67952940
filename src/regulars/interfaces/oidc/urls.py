"""URLs of the OpenID Provider. The paths are Auth0's, which its SDKs use."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path

from .activate import activate
from .authorize import authorize, consent, continue_
from .discovery import jwks, metadata_of_issuer, openid_configuration
from .endpoint import View
from .logout import oidc_logout, v2_logout
from .registration import register_client
from .token_endpoints import device_code, introspect, push, revoke, token, userinfo

# Called by programs. No cookie counts here, so `serving.api_fast_path` skips the middleware that browsers need.
MACHINE_ENDPOINTS: dict[str, View] = {
    "oauth/token": token,
    "userinfo": userinfo,
    ".well-known/jwks.json": jwks,
    ".well-known/openid-configuration": openid_configuration,
    ".well-known/oauth-authorization-server": openid_configuration,  # RFC 8414: the same document
    "oauth/introspect": introspect,
    "oauth/revoke": revoke,
    "oauth/par": push,
    "oauth/device/code": device_code,
    "oidc/register": register_client,
}

urlpatterns: list[URLPattern | URLResolver] = [
    *(path(address, view) for address, view in MACHINE_ENDPOINTS.items()),
    re_path(
        r"^\.well-known/(?:oauth-authorization-server|openid-configuration)/(?P<issuer_path>.*)$", metadata_of_issuer
    ),
    path("authorize", authorize),
    path("authorize/consent", consent),
    path("continue", continue_),
    path("activate", activate),
    path("v2/logout", v2_logout),
    path("oidc/logout", oidc_logout),
]
