"""The cookie that recognises a browser between an app's form and our own address. It proves nothing by itself."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from regulars.base.crypto import random_secret

COOKIE = "regulars_co"
LIVES = 15 * 60  # seconds, as long as auth0-js keeps its side


def find_name(request: HttpRequest) -> str:
    """Return this browser's name; empty when it has none or blocks cookies of other sites."""
    return request.COOKIES.get(COOKIE, "")


def new_name() -> str:
    return random_secret(43)


def remember(response: HttpResponse, name: str) -> HttpResponse:
    """Give the browser this name, which it keeps if it accepts the cookie."""
    response.set_cookie(
        COOKIE,
        name,
        max_age=LIVES,
        httponly=True,
        secure=settings.SECURE,
        samesite="None" if settings.SECURE else "Lax",  # the app may be on another site
    )
    return response
