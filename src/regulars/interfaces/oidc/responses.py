"""Carry the answer of /authorize back to the app: in the address, by a form, or by a message to its window."""

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

from .asking import ReturnAddress
from .errors import NonRedirectableError, OAuthError

# No form-action: browsers hold every redirect after a form to it, and the app decides where those go.
PAGE = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self' data: https:",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def say_yes(request: HttpRequest, to: ReturnAddress, answer: Mapping[str, Any]) -> HttpResponse:
    """`answer` holds the code, the tokens or both."""
    return _send(request, to, dict(answer))


def say_no(request: HttpRequest, to: ReturnAddress, refusal: OAuthError) -> HttpResponse:
    return _send(request, to, refusal.body())


def say_lost(request: HttpRequest, lost: NonRedirectableError) -> HttpResponse:
    """A page with words: there is no app we could send her back to."""
    response = render(request, "provider/lost.html", {"lost": lost}, status=400)
    return with_policy(response, {})


def with_policy(response: HttpResponse, more: Mapping[str, str]) -> HttpResponse:
    policy = {**PAGE, **more}
    response.headers["Content-Security-Policy"] = "; ".join(f"{name} {value}" for name, value in policy.items())
    response.headers["Cache-Control"] = "no-store"
    return response


def with_query(url: str, more: Mapping[str, str]) -> str:
    """The address with more parameters, before its fragment."""
    if not more:
        return url
    address, hash_, fragment = url.partition("#")
    return address + ("&" if "?" in address else "?") + urlencode(more) + hash_ + fragment


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _send(request: HttpRequest, to: ReturnAddress, answer: dict[str, Any]) -> HttpResponse:
    if to.state:
        answer["state"] = to.state
    answer["iss"] = settings.ISSUER  # RFC 9207: an app with several servers can tell whose answer this is
    match to.response_mode:
        case "web_message":
            return _message(request, to, answer)
        case "form_post":
            return _form(request, to, answer)
        case "popup":
            return _popup(request, to, answer)
        case "fragment":
            return _redirect(to.redirect_uri.partition("#")[0] + "#" + urlencode(answer))
        case _:
            return _redirect(with_query(to.redirect_uri, answer))


def _redirect(url: str) -> HttpResponse:
    """Not Django's own: it refuses the schemes of native apps, and the address is one the app registered."""
    response = HttpResponse(status=302)
    response.headers["Location"] = url
    response.headers["Cache-Control"] = "no-store"
    return response


def _form(request: HttpRequest, to: ReturnAddress, answer: dict[str, Any]) -> HttpResponse:
    nonce = secrets.token_urlsafe(16)
    context = {"url": to.redirect_uri, "answer": answer, "nonce": nonce, "client": to.client}
    response = render(request, "provider/form_post.html", context)
    return with_policy(response, {"script-src": f"'nonce-{nonce}'"})


def _message(request: HttpRequest, to: ReturnAddress, answer: dict[str, Any]) -> HttpResponse:
    """A page in a hidden frame or a popup that tells the window of the app, and no other window, the answer."""
    nonce = secrets.token_urlsafe(16)
    origin = origin_of(to.redirect_uri)
    message = {"type": "authorization_response", "response": answer}
    context = {"message": _in_script(message), "origin": _in_script(origin), "nonce": nonce}
    response = render(request, "provider/web_message.html", context)
    response.xframe_options_exempt = True  # only this answer may be framed, only by the app
    return with_policy(response, {"script-src": f"'nonce-{nonce}'", "frame-ancestors": origin})


def _popup(request: HttpRequest, to: ReturnAddress, answer: dict[str, Any]) -> HttpResponse:
    """A window that Lock or auth0-js opened and listens to, in the words of WinChan: "ready", "request", "response".

    The app's window speaks first, so we know its origin; only one of the app's web origins is answered.
    """
    if "id_token" in answer:  # auth0-js reads it everywhere but in a popup
        answer["id_token_payload"] = verify(answer["id_token"])
    nonce = secrets.token_urlsafe(16)
    origins = _in_script(to.client.web_origins)
    context = {"answer": _in_script(answer), "origins": origins, "nonce": nonce, "client": to.client}
    response = render(request, "provider/popup.html", context)
    return with_policy(response, {"script-src": f"'nonce-{nonce}'"})


def _in_script(value: object) -> str:
    """JSON that no HTML parser takes for the end of the script."""
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
