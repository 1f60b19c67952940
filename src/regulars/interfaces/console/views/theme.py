"""Light, dark or automatic: the choice is kept in a cookie."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from ..pages import NO_ROLE, local_address, staff_page

COOKIE = "regulars_theme"
THEMES = ("", "light", "dark")
YEAR = 365 * 24 * 3600


def theme_of(request: HttpRequest) -> str:
    """Return the chosen theme; empty when the system decides."""
    chosen = request.COOKIES.get(COOKIE, "")
    return chosen if chosen in THEMES else ""


@require_POST
@staff_page(read=NO_ROLE, write="viewer")
def choose(request: HttpRequest) -> HttpResponse:
    """Keep the choice in this browser and return to the page where it was made."""
    chosen = request.POST.get("theme", "")
    response = HttpResponseRedirect(local_address(request.POST.get("next", "")))
    if chosen in THEMES:
        response.set_cookie(COOKIE, chosen, max_age=YEAR, samesite="Lax", httponly=True, secure=request.is_secure())
    return response
