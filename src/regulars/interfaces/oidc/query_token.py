"""The access token in the address of /userinfo (RFC 6750, 2.3): it is taken out before anything can log the address.

Auth0's passport-auth0 sends it there. Only apps that opted in may; the struck query string is all that logs, traces and
errors can see of it.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import unquote_plus

from django.http import HttpRequest, HttpResponse

PATH = "/userinfo"
PARAMETER = "access_token"
META = "regulars.query_token"  # in the WSGI environ; Django's error reports hide it for its name


def strike_scope(scope: MutableMapping[str, Any]) -> None:
    """Move the token out of the query string of an ASGI scope. The server's access log reads the same scope."""
    if scope["path"].rstrip("/") == PATH and scope["query_string"]:
        query, token = _strike(scope["query_string"].decode("latin-1"))
        scope["query_string"] = query.encode("latin-1")
        scope[META] = token


def strike_request(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, the outermost: do the same for a WSGI server that has no ASGI root before it."""

    def respond(request: HttpRequest) -> HttpResponse:
        if request.path_info.rstrip("/") == PATH and request.META.get("QUERY_STRING"):
            query, token = _strike(request.META["QUERY_STRING"])
            request.META["QUERY_STRING"] = query
            request.META[META] = request.META.get(META) or token
        return get_response(request)

    return respond


def token_in_query(request: HttpRequest) -> str:
    return str(request.META.get(META, ""))


def _strike(query: str) -> tuple[str, str]:
    """Return the query string without the parameter, and its value: empty without one, or with several that differ."""
    kept, tokens = [], set()
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if unquote_plus(name) == PARAMETER:
            tokens.add(unquote_plus(value))
        else:
            kept.append(pair)
    return "&".join(kept), tokens.pop() if len(tokens) == 1 else ""
