"""Who calls `/api/me`: a customer herself, by an access token that one of our own apps got for her.

CORS is bound to that app: a page of another origin may neither call with its token nor read the answer. No cookie counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from ninja.security import HttpBearer

from regulars.base.errors import DomainError
from regulars.base.tokens.jwt import verify
from regulars.clients.models import Client
from regulars.interfaces.http_api.errors import ApiError
from regulars.interfaces.http_api.requests import refuse_unstorable_request
from regulars.profiles.find import find_by_user_id
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import sign_in_block

PATH = "/api/me/"
SCOPE = "answer:questions"
ACCESS_TOKEN = "at+jwt"  # noqa: S105 - RFC 9068's type: an ID token of the same app is no access token


def customers_api() -> str:
    """The audience that an app asks a token for."""
    return f"{settings.ISSUER}api/me/"


@dataclass(frozen=True)
class InAppCustomer:
    """The customer, and the app her token was given to."""

    profile: Profile
    client_id: str


class InApp(HttpBearer):
    """401 for no good token, 403 for a good one that may not: without the scope, of an app of others, from another origin."""

    def authenticate(self, request: HttpRequest, token: str) -> InAppCustomer:
        try:
            claims = verify(token, customers_api(), typ=ACCESS_TOKEN)
        except DomainError as refused:
            raise ApiError(401, "invalid_token", refused.message) from None
        if "cnf" in claims:
            raise ApiError(401, "invalid_token", "This token is bound to a key; this API takes bearer tokens only.")
        if SCOPE not in str(claims.get("scope", "")).split():
            raise ApiError(403, "insufficient_scope", f"Insufficient scope, expected any of: {SCOPE}")
        client = _our_app(str(claims.get("client_id", "")), request.headers.get("Origin", ""))
        refuse_unstorable_request(request)
        return InAppCustomer(_profile(str(claims.get("sub", ""))), client.pk)


def customer_of(request: HttpRequest) -> InAppCustomer:
    customer: InAppCustomer = request.auth  # type: ignore[attr-defined]  # ninja puts it there
    return customer


def open_to_our_apps(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: answers the preflight and says who may read. Which app may call, the token says."""

    def respond(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(PATH):
            return get_response(request)
        response = _preflight() if request.method == "OPTIONS" else get_response(request)
        add_never_cache_headers(response)
        patch_vary_headers(response, ["Origin"])
        origin = request.headers.get("Origin", "")
        if origin and any(origin in origins for origins in Client.objects.values_list("web_origins", flat=True)):
            response.headers["Access-Control-Allow-Origin"] = origin
        return response

    return respond


def _preflight() -> HttpResponse:
    headers = {
        "Access-Control-Allow-Methods": "POST, OPTIONS",
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Max-Age": "600",
    }
    return HttpResponse(status=204, headers=headers)


def _our_app(client_id: str, origin: str) -> Client:
    """An app of somebody else is told nothing of her here, whatever she let it have elsewhere."""
    client = Client.objects.filter(pk=client_id).first()
    if client is None or not client.first_party:
        raise ApiError(403, "not_our_app", "Only an app of this house may ask its customers.")
    if origin and origin not in client.web_origins:
        raise ApiError(
            403, "origin_not_allowed", "This origin is not among the web origins of the app the token is for."
        )
    return client


def _profile(user_id: str) -> Profile:
    profile = find_by_user_id(user_id)
    if profile is None or sign_in_block(profile):
        raise ApiError(401, "not_a_customer", "This token is not a customer's, or she is not here any more.")
    return profile
