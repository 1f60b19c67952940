"""Auth0's paths, so that its SDKs find their way."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from .activate import activate
from .authorize import authorize, consent, continue_
from .cors import View
from .device import device_code
from .discovery import jwks, openid_configuration
from .introspect import introspect
from .logout import oidc_logout, v2_logout
from .pushed import push
from .registration import register_client
from .token import revoke, token
from .userinfo import userinfo

# What programs ask: no cookie counts here, so `serving.api_fast_path` spares these what browsers need.
FOR_PROGRAMS: dict[str, View] = {
    "oauth/token": token,
    "userinfo": userinfo,
    ".well-known/jwks.json": jwks,
    ".well-known/openid-configuration": openid_configuration,
    "oauth/introspect": introspect,
    "oauth/revoke": revoke,
    "oauth/par": push,
    "oauth/device/code": device_code,
    "oidc/register": register_client,
}

urlpatterns: list[URLPattern | URLResolver] = [
    *(path(address, view) for address, view in FOR_PROGRAMS.items()),
    path("authorize", authorize),
    path("authorize/consent", consent),
    path("continue", continue_),
    path("activate", activate),
    path("v2/logout", v2_logout),
    path("oidc/logout", oidc_logout),
]
