"""Responses of /authorize: the answer goes to the app in the address, by a form, or by a message to its window."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from regulars.base.tokens.jwt import verify
from regulars.base.tokens.kinds import TokenKind
from regulars.clients.models import Client
from regulars.interfaces.pages.response_policy import content_security_policy
from regulars.oauth.authorization_request import ReturnAddress
from regulars.oauth.interactions import with_query
from regulars.oauth.protocol_errors import NonRedirectableError, OAuthError


def send_answer(request: HttpRequest, to: ReturnAddress, answer: Mapping[str, Any]) -> HttpResponse:
    """Send the app a code, tokens or an error, in the response mode that it requested."""
    # RFC 9207: an app with several servers can tell which one answers.
    sent = {**answer, **({"state": to.state} if to.state else {}), "iss": settings.ISSUER}
    match to.response_mode:
        case "web_message":
            return _message(request, to, sent)
        case "form_post":
            nonce = secrets.token_urlsafe(16)
            context = {"url": to.redirect_uri, "answer": sent, "nonce": nonce, "client": to.client}
            response = render(request, "oidc/form_post.html", context)
            return with_policy(response, script_src=f"'self' 'nonce-{nonce}'")
        case "popup":
            return _popup(request, to, sent)
        case "fragment":
            return _redirect(to.redirect_uri.partition("#")[0] + "#" + urlencode(sent))
        case _:
            return _redirect(with_query(to.redirect_uri, sent))


def send_error(request: HttpRequest, to: ReturnAddress, error: OAuthError) -> HttpResponse:
    return send_answer(request, to, error.body(to.answers))


def error_page(request: HttpRequest, error: NonRedirectableError, client: Client | None = None) -> HttpResponse:
    """Return a page for the customer: there is no address to send the browser back to.

    Where the app is known, the page leads to its own page that starts a login (OpenID Connect Core 4).
    """
    again = ""
    if client is not None and client.initiate_login_uri:
        again = with_query(client.initiate_login_uri, {"iss": settings.ISSUER})
    return with_policy(render(request, "oidc/error.html", {"error": error, "again": again}, status=400))


def with_policy(response: HttpResponse, **more: str) -> HttpResponse:
    """Give a page the policy of hosted pages, with further directives of its own."""
    response.headers["Content-Security-Policy"] = content_security_policy(**more)
    response.headers["Cache-Control"] = "no-store"
    return response


def _redirect(url: str) -> HttpResponse:
    """Return a redirect. Django's own class refuses the schemes of native apps; this address is registered."""
    response = HttpResponse(status=302)
    response.headers["Location"] = url
    response.headers["Cache-Control"] = "no-store"
    return response


def _message(request: HttpRequest, to: ReturnAddress, answer: dict[str, Any]) -> HttpResponse:
    """Return a page, for a hidden frame or a popup, that posts the answer to the window of the app and no other one."""
    nonce = secrets.token_urlsafe(16)
    parts = urlsplit(to.redirect_uri)
    origin = f"{parts.scheme}://{parts.netloc}"
    message = {"type": "authorization_response", "response": answer}
    context = {"message": _in_script(message), "origin": _in_script(origin), "nonce": nonce}
    response = render(request, "oidc/web_message.html", context)
    response.xframe_options_exempt = True  # only this answer may be framed, only by the app
    return with_policy(response, script_src=f"'self' 'nonce-{nonce}'", frame_ancestors=origin)


def _popup(request: HttpRequest, to: ReturnAddress, answer: dict[str, Any]) -> HttpResponse:
    """Return a popup that talks with Lock or auth0-js in the protocol of WinChan: "ready", "request", "response".

    The app's window sends first, which tells its origin; only a registered web origin of the app gets the answer.
    """
    if "id_token" in answer:  # auth0-js reads it everywhere but in a popup
        answer["id_token_payload"] = verify(answer["id_token"], kinds=[TokenKind.ID])
    nonce = secrets.token_urlsafe(16)
    origins = _in_script(to.client.web_origins)
    context = {"answer": _in_script(answer), "origins": origins, "nonce": nonce, "client": to.client}
    response = render(request, "oidc/popup.html", context)
    return with_policy(response, script_src=f"'self' 'nonce-{nonce}'")


def _in_script(value: object) -> str:
    """Return JSON that cannot end the script element."""
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
