"""A session cookie of its own for the console, so that staff and customers sign in separately in one browser.

A member of staff may try the shop as a customer and stays signed in; a customer session never opens the console.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

CONSOLE = "/console/"
# Not `__Host-`: that prefix requires the path `/`, and this cookie is limited to the console.
STAFF_COOKIE = f"{'__Secure-' if settings.SECURE else ''}regulars_staff"


def console_session(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware around Django's sessions, which know one cookie: below `/console/` it gets another name."""

    def respond(request: HttpRequest) -> HttpResponse:
        if not f"{request.path}/".startswith(CONSOLE):
            return get_response(request)
        ours = request.COOKIES.get(STAFF_COOKIE)
        request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)
        if ours is not None:
            request.COOKIES[settings.SESSION_COOKIE_NAME] = ours
        response = get_response(request)
        made = response.cookies.pop(settings.SESSION_COOKIE_NAME, None)
        if made is not None:
            response.cookies[STAFF_COOKIE] = made.value
            for attribute, value in made.items():
                response.cookies[STAFF_COOKIE][attribute] = value
            response.cookies[STAFF_COOKIE]["path"] = CONSOLE.rstrip("/")
        return response

    return respond
