"""`%2F` in a path is a slash of an id, such as `auth0|team/7` or an API's identifier, and separates nothing.

WSGI has decoded paths only. So these paths stay encoded until Django has found their view, and their arguments are
decoded then. A proxy may decode `%2F` before us: the patterns take ids with slashes too, wherever that names one thing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse

from regulars.interfaces.collector.app import Scope

ENCODED = "regulars.encoded_path"  # of the WSGI environment
WITH_IDS = (b"/api/", b"/console/customers/")


def path_for_wsgi(scope: Scope) -> tuple[str, bool]:
    """Return PATH_INFO as PEP 3333 wants it, and whether it is still encoded."""
    raw: bytes = (scope.get("raw_path") or b"").partition(b"?")[0]
    if raw.startswith(WITH_IDS) and b"%2f" in raw.lower():
        return raw.decode("latin-1"), True
    return scope["path"].encode().decode("latin-1"), False


class DecodeArguments:
    """Middleware that decodes the arguments of a view, and then the path, when they are still encoded."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, arguments: object, named: dict[str, Any]) -> None:
        if request.META.get(ENCODED):
            named.update({name: unquote(value) for name, value in named.items() if isinstance(value, str)})
            request.path = request.path_info = unquote(request.path)
