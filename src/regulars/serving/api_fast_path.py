"""API fast path: endpoints for programs (tokens, claims, keys) skip the middleware that only browsers need.

These endpoints ignore cookies, so session, CSRF and language middleware would only cost time.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from regulars.interfaces.oidc.urls import MACHINE_ENDPOINTS

VIEWS = {f"/{address}": view for address, view in MACHINE_ENDPOINTS.items()}


def api_fast_path(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: host checks and security headers come before it, what browsers need comes after."""

    def respond(request: HttpRequest) -> HttpResponse:
        return VIEWS.get(request.path_info, get_response)(request)

    return respond
