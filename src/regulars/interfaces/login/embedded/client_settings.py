"""Settings that Lock and our component read before they draw: the login methods of an app, and small endpoints beside."""

from __future__ import annotations

import json
from typing import Any

from babel import Locale, UnknownLocaleError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from regulars.accounts.factors.adapter import server_host
from regulars.accounts.proofs import mailed_codes
from regulars.clients.models import Client
from regulars.connections.login_methods import PASSWORD_CONNECTION, has_passwords, social_connections
from regulars.interfaces.pages.signed_in import customer
from regulars.profiles.assertions import Place
from regulars.profiles.derive import country_name
from regulars.profiles.document import values_at
from regulars.profiles.find import DATABASE

from .request import find_embedding

# Lock's own words for social networks; every other connection is `oauth2` to it: a button with a name.
KNOWN_TO_LOCK = ("amazon", "apple", "facebook", "github", "google-oauth2", "linkedin", "twitter", "windowslive")
LANGUAGE = "HTTP_ACCEPT_LANGUAGE"


@require_safe
def client_file(request: HttpRequest, client_id: str) -> HttpResponse:
    """`/client/<id>.js`: `Auth0.setClient({…});`. It holds no secret: the login page shows the same methods."""
    client = find_embedding(client_id)
    if client is None:
        return HttpResponse("// This app is not allowed to show a sign-in form of its own.", "text/javascript", 404)
    body = f"Auth0.setClient({json.dumps(_settings(client))});"
    return HttpResponse(body, content_type="application/x-javascript", headers={"Cache-Control": "public, max-age=60"})


@require_safe
def client_json(request: HttpRequest, client_id: str) -> HttpResponse:
    """`/client/<id>.json`: the same for our own component, as data and not as a script."""
    client = find_embedding(client_id)
    if client is None:
        return _open(JsonResponse({"error": "unauthorized_client"}, status=404))
    return _open(JsonResponse({**_settings(client), "passkeys": {"rp_id": server_host()}}))


@csrf_exempt
def challenge(request: HttpRequest) -> HttpResponse:
    """Answer that no CAPTCHA is required: attempts are counted instead."""
    return _open(JsonResponse({"required": False}))


@require_safe
def country(request: HttpRequest) -> HttpResponse:
    """Return the country for the phone field, from the browser's language; the IP address is not looked up."""
    for wanted in request.META.get(LANGUAGE, "").split(","):
        code = _territory(wanted.partition(";")[0].strip())
        if code:
            return _open(JsonResponse({"country_code": code, "country_name": country_name(code)}))
    return _open(JsonResponse({"country_code": "US", "country_name": country_name("US")}))  # Lock's own first choice


@require_safe
def sso_data(request: HttpRequest) -> HttpResponse:
    """Return the customer of this browser's session. Not open to other origins: only hosted pages may read it."""
    profile = customer(request)
    if profile is None:
        return JsonResponse({"sso": False}, headers={"Cache-Control": "no-store"})
    identity: dict[str, Any] = next(iter(profile.document.get("identities", [])), {})
    profile_data = {
        "sso": True,
        "lastUsedConnection": {"name": identity.get("connection", ""), "strategy": identity.get("provider", "")},
        "lastUsedUserID": profile.user_id,
        "lastUsedUsername": str(values_at(profile, Place.USERINFO).get("email", "")),
    }
    return JsonResponse(profile_data, headers={"Cache-Control": "no-store"})


def _settings(client: Client) -> dict[str, Any]:
    return {"id": client.pk, "tenant": "regulars", "subscription": "self-hosted", "strategies": _strategies()}


def _strategies() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if has_passwords():
        database = {
            "name": PASSWORD_CONNECTION,
            "passwordPolicy": "none",
            "password_complexity_options": {"min_length": 8},
            "showSignup": True,
            "showForgot": True,
            "requires_username": False,
        }
        found.append({"name": DATABASE, "connections": [database]})
    if mailed_codes.is_open():
        found.append({"name": mailed_codes.STRATEGY, "connections": [{"name": mailed_codes.CONNECTION}]})
    for each in social_connections():
        strategy = each.strategy if each.strategy in KNOWN_TO_LOCK else "oauth2"
        button = {"name": each.name, "display_name": each.display_name, "scope": list(each.scopes)}
        found.append({"name": strategy, "connections": [button]})
    return found


def _territory(tag: str) -> str:
    try:
        return Locale.parse(tag, sep="-").territory or ""
    except (ValueError, UnknownLocaleError):  # no language, or none that Babel knows
        return ""


def _open(response: HttpResponse) -> HttpResponse:
    """Let any page read the answer: it depends on no cookie and holds no data of a customer."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Headers"] = "Content-Type, Auth0-Client"
    response.headers["Cache-Control"] = "no-store"
    return response
