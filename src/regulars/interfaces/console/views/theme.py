"""Light, dark or automatic."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from ..door import local_address, staff_page
from ..theme import COOKIE, THEMES

YEAR = 365 * 24 * 3600


@require_POST
@staff_page
def choose(request: HttpRequest) -> HttpResponse:
    """Remember the choice on this browser and go back to the page it was made on."""
    chosen = request.POST.get("theme", "")
    response = HttpResponseRedirect(local_address(request.POST.get("next", "")))
    if chosen in THEMES:
        response.set_cookie(COOKIE, chosen, max_age=YEAR, samesite="Lax", httponly=True, secure=request.is_secure())
    return response
