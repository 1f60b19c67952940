"""/co/authenticate: exchange credentials from an app's own form for a login ticket, and the ticket for a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.views.decorators.debug import sensitive_post_parameters

from regulars.accounts.factors import passkeys_in_apps
from regulars.accounts.proofs import mailed_codes, tickets
from regulars.accounts.proofs.models import LoginTicket
from regulars.accounts.proofs.tickets import Proof
from regulars.accounts.rate_limits import PendingAttempt, TooManyAttempts, attempting
from regulars.base.crypto import random_secret
from regulars.base.errors import DomainError, Unavailable
from regulars.connections.login_methods import PASSWORD_CONNECTION, has_passwords
from regulars.interfaces.pages.journey_address import waiting_request
from regulars.usecases.password_login import find_by_password
from regulars.usecases.passwordless import passwordless_login

from ..entry import enter, onward
from ..second_factor import notify_of_copy, owner_of, record_of_passkey_login
from . import browser_cookie
from .request import EmbeddedLoginError, EmbeddedRequest, embedded_endpoint

WRONG_PASSWORD, WRONG_CODE = "Wrong email or password.", "Wrong email or verification code."


@sensitive_post_parameters()
@embedded_endpoint(browsers_only=True)
def authenticate(call: EmbeddedRequest) -> HttpResponse:
    """Auth0's answer: `{"login_ticket", "co_verifier", "co_id"}`, and a cookie that ties the ticket to this browser."""
    prove = CREDENTIALS.get(call.text("credential_type"))
    if prove is None:
        raise EmbeddedLoginError("invalid_request", "This credential_type is not known.")
    proof = prove(call)
    name = browser_cookie.find_name(call.request) or browser_cookie.new_name()
    ticket = tickets.give(proof, call.client, call.origin, name)
    # auth0-js keeps a verifier for browsers without the cookie. We have no use for one: no cookie, no session.
    answer = {"login_ticket": ticket, "co_verifier": random_secret(32), "co_id": random_secret(12)}
    return browser_cookie.remember(JsonResponse(answer), name)


def enter_by_ticket(request: HttpRequest) -> HttpResponse | None:
    """`/login?login_ticket=&next=/authorize?…`: sign in and go on. None when the ticket is not valid: show the page.

    A silent request for tokens is never shown a page: it goes on without a session, and its app gets `login_required`.
    """
    goes_to = onward(request)
    _, asked = waiting_request(request)
    client_id = asked.get("client_id", [""])[0]
    name = browser_cookie.find_name(request)
    taken = tickets.take(request.GET["login_ticket"], client_id, name, _referring_origin(request)) if name else None
    if taken is None:
        return HttpResponseRedirect(goes_to) if "none" in asked.get("prompt", []) else None
    return enter(request, taken.account, taken.method, goes_to, **_how(taken))


def _how(taken: LoginTicket) -> dict[str, Any]:
    if taken.passkey:
        return record_of_passkey_login(taken.passkey)
    connection = PASSWORD_CONNECTION if taken.method == "password" else mailed_codes.CONNECTION
    return {"email": taken.account.email, "connection": connection}


def _by_password(call: EmbeddedRequest) -> Proof:
    email = call.text("username")
    with _attempting(call, "login", email) as place:
        account = find_by_password(email, call.text("password"))
        if account is None or not has_passwords():
            raise EmbeddedLoginError("invalid_user_password", WRONG_PASSWORD, 403, error="access_denied")
        place.succeed()
        return Proof(account, "password")


def _by_code(call: EmbeddedRequest) -> Proof:
    with _attempting(call, "guess", call.text("username")) as place:
        expected = mailed_codes.find_for_app(place.attempt, call.client, call.text("otp"))
        if expected is None or not mailed_codes.use(expected):
            raise EmbeddedLoginError("invalid_user_password", WRONG_CODE, 403, error="access_denied")
        place.succeed()
    try:
        return Proof(passwordless_login(expected.email, mailed_codes.CONNECTION).account, "code")
    except Unavailable:
        raise
    except DomainError as refused:
        raise EmbeddedLoginError("unauthorized", "user is blocked", 401) from refused


def _by_passkey(call: EmbeddedRequest) -> Proof:
    signed = call.body.get("authn_response")
    if not isinstance(signed, dict):
        raise EmbeddedLoginError("invalid_request", "authn_response must be an object.")
    with _attempting(call, "passkey", "") as place:
        try:
            key = passkeys_in_apps.check(call.text("auth_session"), signed, call.client.pk, call.origin)
            account = owner_of(key)
        except DomainError as refused:
            notify_of_copy(refused)
            raise EmbeddedLoginError(refused.code, refused.message, 403, error="access_denied") from refused
        place.succeed()
        return Proof(account, "mfa", key)


CREDENTIALS: dict[str, Callable[[EmbeddedRequest], Proof]] = {
    "password": _by_password,
    "http://auth0.com/oauth/grant-type/password-realm": _by_password,
    "http://auth0.com/oauth/grant-type/passwordless/otp": _by_code,
    "urn:okta:params:oauth:grant-type:webauthn": _by_passkey,
}


@contextmanager
def _attempting(call: EmbeddedRequest, action: str, subject: str) -> Iterator[PendingAttempt]:
    try:
        with attempting(call.attempt(action, subject)) as place:
            yield place
    except TooManyAttempts as refused:
        raise EmbeddedLoginError("too_many_attempts", refused.message, 429) from refused


def _referring_origin(request: HttpRequest) -> str:
    """Return the origin in `Referer`; empty when there is none or it is our own. What is no address is no app's origin."""
    referer = request.headers.get("Referer", "")
    try:
        parts = urlsplit(referer)
    except ValueError:
        return referer
    origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return "" if origin == settings.PUBLIC_URL else origin
