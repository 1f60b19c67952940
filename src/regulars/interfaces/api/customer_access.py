"""Access to `/api/me`: an access token that a first-party app obtained for the customer.

CORS is bound to that app: a page of another origin can neither call with its token nor read the answer. Cookies are ignored.
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
from regulars.base.tokens.kinds import TokenKind, client_of
from regulars.clients.models import Client
from regulars.interfaces.http_api.error_responses import ApiError
from regulars.interfaces.http_api.requests import refuse_unstorable_request
from regulars.oauth.revoked_grants import refuse_revoked
from regulars.profiles.find import find_by_user_id
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import sign_in_block

PATH = "/api/me/"
SCOPE = "answer:questions"


PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


def customers_api() -> str:
    """Return the audience of these access tokens."""
    return f"{settings.ISSUER}api/me/"


@dataclass(frozen=True)
class InAppCustomer:
    """The customer, and the app that their token was issued to."""

    profile: Profile
    client_id: str


class InApp(HttpBearer):
    """Accept a customer's access token. 401 without a valid one; 403 without the scope, for a third-party app, or from another origin."""

    def authenticate(self, request: HttpRequest, token: str) -> InAppCustomer:
        try:
            claims = verify(token, customers_api(), kinds=[TokenKind.ACCESS])
            refuse_revoked(claims)
        except DomainError as refused:
            raise ApiError(401, "invalid_token", refused.message) from None
        if "cnf" in claims:
            raise ApiError(401, "invalid_token", "This token is bound to a key; this API takes bearer tokens only.")
        if SCOPE not in str(claims.get("scope", "")).split():
            raise ApiError(403, "insufficient_scope", f"Insufficient scope, expected any of: {SCOPE}")
        # a third-party app is refused, whatever the customer allowed it elsewhere
        origin = request.headers.get("Origin", "")
        client = Client.objects.filter(pk=client_of(claims)).first()
        if client is None or not client.first_party:
            raise ApiError(403, "not_our_app", "Only a first-party app may call this API.")
        if origin and origin not in client.web_origins:
            raise ApiError(
                403, "origin_not_allowed", "This origin is not among the web origins of the app the token is for."
            )
        refuse_unstorable_request(request)
        profile = find_by_user_id(str(claims.get("sub", "")))
        if profile is None or sign_in_block(profile):
            raise ApiError(401, "not_a_customer", "This token does not belong to an active customer.")
        return InAppCustomer(profile, client.pk)


def customer_of(request: HttpRequest) -> InAppCustomer:
    customer: InAppCustomer = request.auth  # type: ignore[attr-defined]  # ninja puts it there
    return customer


def cors_for_own_apps(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that answers preflights and allows registered origins to read. The token decides which app may call."""

    def respond(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(PATH):
            return get_response(request)
        is_preflight = request.method == "OPTIONS"
        response = HttpResponse(status=204, headers=PREFLIGHT) if is_preflight else get_response(request)
        add_never_cache_headers(response)
        patch_vary_headers(response, ["Origin"])
        origin = request.headers.get("Origin", "")
        if origin and any(origin in origins for origins in Client.objects.values_list("web_origins", flat=True)):
            response.headers["Access-Control-Allow-Origin"] = origin
        return response

    return respond
