"""The policy of every page: never cached, nothing loaded from elsewhere, in no other page's frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import add_never_cache_headers

P = ParamSpec("P")
R = TypeVar("R", bound=HttpResponseBase)
View = Callable[Concatenate[HttpRequest, P], R]
DIRECTIVES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: https:",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def content_security_policy(**more: str) -> str:
    """Return the policy of pages with further directives: `connect_src="'self'"`."""
    directives = {**DIRECTIVES, **{name.replace("_", "-"): value for name, value in more.items()}}
    return "; ".join(f"{name} {value}" for name, value in directives.items())


# No form-action: after the form the browser follows redirects to the application that asked for the login, and
# browsers hold the whole chain to it, custom schemes of apps included.
HOSTED_POLICY = content_security_policy()
# Pages that offer passkeys ask the server what a passkey must sign.
PASSKEY_POLICY = content_security_policy(connect_src="'self'")


def page(view: View[P, R]) -> View[P, R]:
    """A hosted page: never cached, with the strict policy unless the view set another."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> R:
        response = view(request, *args, **kwargs)
        add_never_cache_headers(response)
        response.headers.setdefault("Content-Security-Policy", HOSTED_POLICY)
        return response

    return guarded


def with_passkeys(response: HttpResponse) -> HttpResponse:
    """Let this page run the passkey script, which asks the server what a passkey must sign."""
    response.headers["Content-Security-Policy"] = PASSKEY_POLICY
    return response
