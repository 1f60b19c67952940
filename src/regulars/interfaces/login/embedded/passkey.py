"""Passkeys in an app's own form: the challenge to sign, and the origins that may ask for passkeys of this server."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from regulars.accounts.factors import passkeys_in_apps
from regulars.accounts.proofs.tickets import may_embed
from regulars.clients.models import Client

from . import browser_cookie
from .request import EmbeddedRequest, embedded_endpoint


@embedded_endpoint(browsers_only=True)
def challenge(call: EmbeddedRequest) -> HttpResponse:
    """`/passkey/challenge`, Auth0's words. `auth_session` goes back to `/co/authenticate` with what was signed.

    `remembered` is ours: whether this browser sent the cookie, without which a ticket is worth nothing. A caller that
    asks a second time and is still not remembered need not ask the customer for a signature.
    """
    question, options = passkeys_in_apps.ask(call.client.pk, call.origin)
    name = browser_cookie.find_name(call.request)
    answer = {"auth_session": question, "authn_params_public_key": options, "remembered": bool(name)}
    return browser_cookie.remember(JsonResponse(answer), name or browser_cookie.new_name())


@require_safe
def related_origins(request: HttpRequest) -> HttpResponse:
    """`/.well-known/webauthn`: browsers let these pages ask for our passkeys though they are not on our host.

    WebAuthn's Related Origin Requests. Only apps that opted in are on the list, by the origins they are checked against.
    """
    apps = [client for client in Client.objects.order_by("created_at", "pk") if may_embed(client)]
    origins = [origin for client in apps for origin in client.web_origins if origin.startswith("https://")]
    return JsonResponse({"origins": list(dict.fromkeys(origins))}, headers={"Cache-Control": "public, max-age=60"})
