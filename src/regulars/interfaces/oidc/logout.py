"""/v2/logout (Auth0's) and /oidc/logout (OpenID's): end the session, then redirect to a registered address of the app."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib.auth import logout as end_session
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_http_methods

from regulars.base.errors import DomainError
from regulars.base.tokens.jwt import verify
from regulars.base.tokens.kinds import TokenKind
from regulars.clients.cache import find_client
from regulars.clients.models import Client
from regulars.interfaces.pages.language import show_languages_at
from regulars.interfaces.pages.navigation import message_page
from regulars.interfaces.pages.response_policy import page
from regulars.oauth.interactions import with_query
from regulars.oauth.protocol_errors import NonRedirectableError
from regulars.usecases.sign_out import find_session, sign_out_by_hint

from .browser import sid_of
from .responses import error_page, with_policy

# (sentence, title)
CLIENT_MISMATCH = (
    gettext_noop(
        "The app that sent you here to sign out did not say clearly which one it is. You are still signed in."
    ),
    gettext_noop("Signing out did not work"),
)
UNKNOWN_LOGOUT_URI = (
    gettext_noop("You are signed out here. The app wants you sent to an address we do not know."),
    gettext_noop("You are signed out"),
)
SIGNED_OUT = (
    gettext_noop("You are signed out"),
    gettext_noop("No account is signed in on this browser any more."),
)


@dataclass(frozen=True)
class Hint:
    """App and session of a valid ID token of ours. The token may have expired."""

    client_id: str = ""
    sid: str = ""


@require_GET
def v2_logout(request: HttpRequest) -> HttpResponse:
    """`?client_id=…&returnTo=…`. Without returnTo the customer stays on a page that says they are signed out.

    `federated` changes nothing: no session at a social network can be ended from here.
    """
    return_to, client_id = request.GET.get("returnTo", ""), request.GET.get("client_id", "")
    client = find_client(client_id) if client_id else None
    end_session(request)
    if not return_to:
        return _signed_out(request)
    if client_id:
        allowed = client.logout_uris if client else []
    else:  # the addresses of third-party apps count for their own client only
        lists = Client.objects.filter(first_party=True).values_list("logout_uris", flat=True)
        allowed = [uri for uris in lists for uri in uris]
    return _redirect(request, return_to, allowed)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def oidc_logout(request: HttpRequest) -> HttpResponse:
    """RP-initiated logout. Without the session's own ID token, or its `sid` as `logout_hint`, the customer is asked first.

    A hint without the session's cookie ends the session only when a server sends it, for an app that may do so
    (`sign_out_by_hint`). A page of another site could make a browser send any hint.

    `logout_hint` is Auth0's: an app that kept no ID token still knows the `sid`, which cannot be guessed. A hint that can
    be guessed, such as an e-mail address, does not prove which app sent the browser.
    """
    if request.method == "POST" and "do" not in request.POST:
        # A form of an app: the browser's cookies do not travel with it, so the browser is sent here again by GET.
        return HttpResponseRedirect("/oidc/logout?" + urlencode(request.POST.dict()), status=303)
    return _log_out(request)


@csrf_protect
def _log_out(request: HttpRequest) -> HttpResponse:
    try:
        claims = verify(request.GET.get("id_token_hint", ""), kinds=[TokenKind.ID], allow_expired=True)
        hint = Hint(str(claims.get("aud", "")), str(claims.get("sid", "")))
    except DomainError:
        hint = None
    client_id = request.GET.get("client_id", "")
    if hint and client_id and hint.client_id != client_id:
        return error_page(request, NonRedirectableError("client_mismatch", *CLIENT_MISMATCH))
    client_id = hint.client_id if hint else client_id
    known = {hint.sid if hint else "", request.GET.get("logout_hint", "")} - {""}
    if request.method == "GET":
        if request.user.is_authenticated and sid_of(request) not in known:
            return _ask(request)
        if not request.user.is_authenticated:
            by_server = is_by_server(request)
            is_ended = hint is not None and by_server and sign_out_by_hint(client_id, hint.sid)
            if not is_ended and any(find_session(client_id, sid) for sid in known):
                return _ask(request, status=403 if by_server else 200)  # a program reads the status, a person the page
    end_session(request)
    return_to = request.GET.get("post_logout_redirect_uri", "")
    if not return_to:
        return _signed_out(request)
    client = find_client(client_id)
    state = request.GET.get("state", "")
    return _redirect(request, return_to, client.logout_uris if client else [], {"state": state} if state else {})


def is_by_server(request: HttpRequest) -> bool:
    """Return whether no browser sent this: browsers send cookies, `Sec-Fetch-*` with every request, `Origin` with forms."""
    return not (request.COOKIES or any(name == "Origin" or name.startswith("Sec-Fetch-") for name in request.headers))


def _ask(request: HttpRequest, status: int = 200) -> HttpResponse:
    return with_policy(render(request, "oidc/logout.html", status=status))


def _signed_out(request: HttpRequest) -> HttpResponse:
    return page(message_page)(request, *SIGNED_OUT)


def _redirect(request: HttpRequest, url: str, allowed: list[str], more: dict[str, str] | None = None) -> HttpResponse:
    if url not in allowed:
        show_languages_at(request, "/oidc/logout")  # without the address that was refused
        return error_page(request, NonRedirectableError("unknown_logout_uri", *UNKNOWN_LOGOUT_URI))
    response = HttpResponse(status=302)
    response.headers["Location"] = with_query(url, more or {})
    return response
