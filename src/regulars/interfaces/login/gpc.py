"""Global Privacy Control: a browser that says "do not sell or share my data" is heard, whatever page she opens."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from regulars.usecases.decide_consent import apply_gpc

from .door import customer

HEADER, HEARD = "Sec-GPC", "gpc_heard"  # the session remembers, so that the ledger is not asked on every page
SINCE = "2026-11-25"


def honour(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware. It looks after the page was made: by then whoever was signing in is signed in."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if request.headers.get(HEADER) == "1":
            _hear(request)
        return response

    return middleware


@require_safe
def well_known(request: HttpRequest) -> HttpResponse:
    """`/.well-known/gpc.json`: this house honours the signal (W3C Global Privacy Control, 5)."""
    return JsonResponse({"gpc": True, "lastUpdate": SINCE})


def _hear(request: HttpRequest) -> None:
    session = getattr(request, "session", None)
    if session is None or session.get(HEARD) == request.user.pk:
        return
    profile = customer(request)
    if profile is not None and profile.merged_into_id is None:
        apply_gpc(profile)
        session[HEARD] = request.user.pk
