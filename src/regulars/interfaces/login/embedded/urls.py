"""Auth0's paths for sign-in forms inside apps."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from .authenticate import authenticate
from .client_settings import challenge, client_file, client_json, country, sso_data
from .database_connections import change_password, signup
from .passkey import challenge as passkey_challenge
from .passkey import related_origins
from .passwordless import start, verify

urlpatterns: list[URLPattern | URLResolver] = [
    path("client/<str:client_id>.js", client_file),
    path("client/<str:client_id>.json", client_json),
    path("co/authenticate", authenticate),
    path("dbconnections/signup", signup),
    path("dbconnections/signup/challenge", challenge),
    path("dbconnections/change_password", change_password),
    path("dbconnections/change_password/challenge", challenge),
    path("usernamepassword/challenge", challenge),
    path("passwordless/start", start),
    path("passwordless/verify", verify),
    path("passwordless/challenge", challenge),
    path("passkey/challenge", passkey_challenge),
    path(".well-known/webauthn", related_origins),
    path("user/geoloc/country", country),
    path("user/ssodata", sso_data),
]
