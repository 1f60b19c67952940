"""Responses are stored nowhere unless their view says otherwise.

Most responses hold something of one customer or one member of staff, an error or a redirect included. A list of the
personal ones would miss the next one.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def no_store(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: `Cache-Control: no-store` on every response without a `Cache-Control` of its own."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return respond
