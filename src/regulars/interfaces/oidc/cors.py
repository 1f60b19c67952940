"""Let scripts of apps call what they must: no cookies count here, so any origin may ask."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

View = Callable[[HttpRequest], HttpResponse]
EXPOSED = "WWW-Authenticate, DPoP-Nonce"
HEADERS = "Authorization, Content-Type, Auth0-Client, DPoP"


def open_to_scripts(*methods: str) -> Callable[[View], View]:
    """The view answers these methods, with CORS headers, and the preflight before them."""
    allowed = ", ".join((*methods, "OPTIONS"))

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def answer(request: HttpRequest) -> HttpResponse:
            if request.method == "OPTIONS":
                response = _preflight(allowed)
            elif request.method not in methods:
                response = HttpResponse(status=405, headers={"Allow": allowed})
            else:
                response = view(request)
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
            return response

        return answer

    return decorate


def _preflight(allowed: str) -> HttpResponse:
    headers = {
        "Access-Control-Allow-Methods": allowed,
        "Access-Control-Allow-Headers": HEADERS,
        "Access-Control-Max-Age": "600",
    }
    return HttpResponse(status=204, headers=headers)
