"""The branding of the app that sent the customer, on every hosted page until they return to the app."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_safe

from regulars.base.db.compiled_query import CompiledQuery, param
from regulars.clients.branding import Branding, branding_of, current_app, stylesheet
from regulars.clients.models import Client

from .journey_address import NOT_HOSTED, waiting_request

COOKIE = "regulars_app"  # the app, for pages whose address no longer names it
LIVES = 3600  # seconds
A_YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class Brand:
    """The branding as templates show it. `name` is empty for pages that no app sent the customer to."""

    name: str = ""
    branding: Branding = field(default_factory=Branding)
    stylesheet: str = ""

    @property
    def title(self) -> str:
        return self.branding.title or self.name


def brand(request: HttpRequest) -> dict[str, object]:
    """Context processor: `brand` on every page, looked up only where a template asks for it."""
    return {"brand": SimpleLazyObject(lambda: _brand_of(request))}


@require_safe
def brand_stylesheet(request: HttpRequest, client_id: str) -> HttpResponse:
    """`/brand/<client id>.css?v=…`: the variables of one app. Its address changes with its content."""
    client = Client.objects.filter(pk=client_id).first()
    if client is None:
        raise Http404
    response = HttpResponse(stylesheet(branding_of(client)), content_type="text/css; charset=utf-8")
    response.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    return response


def remember_app(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that remembers the app, so that a page without one in its address (back from a provider, `/me`) looks
    like the page before it, and so do the mails that the page asks for.
    """

    def respond(request: HttpRequest) -> HttpResponse:
        hosted = not request.path.startswith(NOT_HOSTED)
        named = _named(request) if hosted else ""
        token = current_app.set((named or _well_formed(request.COOKIES.get(COOKIE, ""))) if hosted else "")
        try:
            response = get_response(request)
        finally:
            current_app.reset(token)
        if named and named != request.COOKIES.get(COOKIE) and _is_an_app.exists(id=named):
            response.set_cookie(COOKIE, named, max_age=LIVES, httponly=True, samesite="Lax", secure=settings.SECURE)
        return response

    return respond


_is_an_app = CompiledQuery(lambda: Client.objects.filter(pk=param("id")).values_list("pk")[:1])


def _brand_of(request: HttpRequest) -> Brand:
    client_id = _named(request) or request.COOKIES.get(COOKIE, "")
    client = Client.objects.filter(pk=client_id).first() if client_id else None
    if client is None:
        return Brand()
    css = stylesheet(branding_of(client))
    version = hashlib.sha256(css.encode()).hexdigest()[:12]
    return Brand(client.name, branding_of(client), f"/brand/{client.pk}.css?v={version}")


def _named(request: HttpRequest) -> str:
    """Return the client id in the address: a parameter of its own, or in the request that waits in `next`."""
    if named := request.GET.get("client_id"):
        return _well_formed(named)
    path, asked = waiting_request(request)
    return _well_formed(asked.get("client_id", [""])[0]) if path == "/authorize" else ""


def _well_formed(client_id: str) -> str:
    return client_id if client_id.isascii() and len(client_id) <= 64 and client_id.isprintable() else ""
