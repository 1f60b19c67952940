"""/v2/logout (Auth0's) and /oidc/logout (OpenID's): end the session here, then go where the app may send her."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import logout as end_session
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_http_methods

from regulars.base.errors import DomainError
from regulars.base.tokens.jwt import verify
from regulars.clients.cache import find_client
from regulars.clients.models import Client

from .errors import NonRedirectableError
from .responses import say_lost, with_policy, with_query
from .sessions import sid_of


@dataclass(frozen=True)
class Hint:
    """What a valid ID token of ours, however old, says: which app, which session."""

    client_id: str = ""
    sid: str = ""


@require_GET
def v2_logout(request: HttpRequest) -> HttpResponse:
    """`?client_id=…&returnTo=…`. Without returnTo the answer is the text OK, as Auth0's.

    `federated` changes nothing: her session at a social network is hers, and we keep nothing that could end it.
    """
    return_to, client_id = request.GET.get("returnTo", ""), request.GET.get("client_id", "")
    client = find_client(client_id) if client_id else None
    end_session(request)
    if not return_to:
        return HttpResponse("OK", content_type="text/plain; charset=utf-8")
    allowed = client.logout_uris if client else [] if client_id else _everybodys()
    return _to(request, return_to, allowed)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def oidc_logout(request: HttpRequest) -> HttpResponse:
    """RP-initiated logout. With the session's own ID token, or its `sid` as `logout_hint`, it is done; else she is asked first.

    `logout_hint` is Auth0's: an app that kept no ID token still knows the `sid`, which nobody can guess. What anybody can
    (an address) proves nothing about who sent her here.
    """
    if request.method == "POST" and "do" not in request.POST:
        # An app's own form: her cookies do not travel with it, so her browser comes again by GET.
        return HttpResponseRedirect("/oidc/logout?" + urlencode(request.POST.dict()), status=303)
    return _asked_or_done(request)


@csrf_protect
def _asked_or_done(request: HttpRequest) -> HttpResponse:
    hint = _read_hint(request.GET.get("id_token_hint", ""))
    client_id = request.GET.get("client_id", "")
    if hint and client_id and hint.client_id != client_id:
        sentence = (
            "The app that sent you here to sign out did not say clearly which one it is. You are still signed in."
        )
        return say_lost(request, NonRedirectableError("client_mismatch", sentence))
    names = {hint.sid if hint else "", request.GET.get("logout_hint", "")} - {""}
    if _is_signed_in(request) and request.method == "GET" and sid_of(request) not in names:
        return with_policy(render(request, "provider/logout.html"), {})
    end_session(request)
    client_id = hint.client_id if hint else client_id
    return_to = request.GET.get("post_logout_redirect_uri", "")
    if not return_to:
        return HttpResponse("OK", content_type="text/plain; charset=utf-8")
    client = find_client(client_id)
    state = request.GET.get("state", "")
    return _to(request, return_to, client.logout_uris if client else [], {"state": state} if state else {})


def _to(request: HttpRequest, url: str, allowed: list[str], more: dict[str, str] | None = None) -> HttpResponse:
    if url not in allowed:
        sentence = "You are signed out here. The app wants you sent to an address we do not know."
        return say_lost(request, NonRedirectableError("unknown_logout_uri", sentence))
    response = HttpResponse(status=302)
    response.headers["Location"] = with_query(url, more or {})
    return response


def _is_signed_in(request: HttpRequest) -> bool:
    return bool(request.user.is_authenticated)


def _read_hint(token: str) -> Hint | None:
    try:
        claims: dict[str, Any] = verify(token, typ="jwt", allow_expired=True)
    except DomainError:
        return None
    return Hint(str(claims.get("aud", "")), str(claims.get("sid", "")))


def _everybodys() -> list[str]:
    """Without a client, any address that one of our own apps may use. What strangers registered counts for them alone."""
    lists = Client.objects.filter(first_party=True).values_list("logout_uris", flat=True)
    return [uri for uris in lists for uri in uris]
