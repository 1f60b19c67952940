"""Staff and customers sign in apart, even in one browser: the console has a session cookie of its own.

Whoever tries the shop as a customer stays signed in to the console, and a customer's session is never one of staff.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

CONSOLE = "/console/"
# Not `__Host-`: that prefix wants the path to be `/`, and this cookie stays below the console's.
STAFF_COOKIE = f"{'__Secure-' if settings.SECURE else ''}regulars_staff"


def console_session(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware around Django's own sessions, which know one cookie: below `/console/` theirs is carried by ours."""

    def respond(request: HttpRequest) -> HttpResponse:
        if not f"{request.path}/".startswith(CONSOLE):
            return get_response(request)
        ours = request.COOKIES.get(STAFF_COOKIE)
        request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)
        if ours is not None:
            request.COOKIES[settings.SESSION_COOKIE_NAME] = ours
        response = get_response(request)
        _rename(response)
        return response

    return respond


def _rename(response: HttpResponse) -> None:
    made = response.cookies.pop(settings.SESSION_COOKIE_NAME, None)
    if made is None:
        return
    response.cookies[STAFF_COOKIE] = made.value
    for attribute, value in made.items():
        response.cookies[STAFF_COOKIE][attribute] = value
    response.cookies[STAFF_COOKIE]["path"] = CONSOLE.rstrip("/")
