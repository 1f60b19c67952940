"""Global Privacy Control: the signal "do not sell or share my data" counts on whatever page the customer opens."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from regulars.base.errors import Unavailable
from regulars.usecases.decide_consent import apply_gpc

from .signed_in import customer

HEADER, RECEIVED = "Sec-GPC", "gpc_received"  # session key, so that the ledger is not queried on every page
SINCE = "2026-11-25"


def honour_signal(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware. It reads the header after the response is made: by then a login on this request has its session."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if request.headers.get(HEADER) == "1":
            _record(request)
        return response

    return middleware


@require_safe
def well_known(request: HttpRequest) -> HttpResponse:
    """`/.well-known/gpc.json`: Regulars honours the signal (W3C Global Privacy Control, 5)."""
    return JsonResponse({"gpc": True, "lastUpdate": SINCE})


def _record(request: HttpRequest) -> None:
    session = getattr(request, "session", None)
    if session is None or session.get(RECEIVED) == request.user.pk:
        return
    profile = customer(request)
    if profile is not None and profile.merged_into_id is None:
        try:
            apply_gpc(profile)
        except Unavailable:  # not recorded, and logged: the next page of the browser brings the signal again
            return
        session[RECEIVED] = request.user.pk
