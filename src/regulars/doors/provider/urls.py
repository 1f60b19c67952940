"""Auth0's paths, so that its SDKs find their way."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from .activate import activate
from .authorize import authorize, consent, continue_
from .device import device_code
from .discovery import jwks, openid_configuration
from .introspect import introspect
from .logout import oidc_logout, v2_logout
from .pushed import push
from .registration import register_client
from .token import revoke, token
from .userinfo import userinfo

urlpatterns: list[URLPattern | URLResolver] = [
    path("oauth/token", token),
    path("authorize", authorize),
    path("authorize/consent", consent),
    path("continue", continue_),
    path("activate", activate),
    path("oauth/device/code", device_code),
    path("userinfo", userinfo),
    path("oauth/revoke", revoke),
    path("oauth/introspect", introspect),
    path("oauth/par", push),
    path("oidc/register", register_client),
    path("v2/logout", v2_logout),
    path("oidc/logout", oidc_logout),
    path(".well-known/openid-configuration", openid_configuration),
    path(".well-known/jwks.json", jwks),
]
