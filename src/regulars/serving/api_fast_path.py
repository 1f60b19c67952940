"""What programs ask (tokens, claims, keys) is answered without what browsers need: session, form token, language, pages.

None of it decides anything there, since no cookie counts at these addresses, and it costs more than many an answer.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from regulars.interfaces.oidc.urls import FOR_PROGRAMS

VIEWS = {f"/{address}": view for address, view in FOR_PROGRAMS.items()}


def for_programs(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware. What every answer needs (hosts, security headers) comes before it, what browsers need after."""

    def respond(request: HttpRequest) -> HttpResponse:
        return VIEWS.get(request.path_info, get_response)(request)

    return respond
