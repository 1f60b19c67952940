"""/passwordless/…: a code or a link by mail for an app's own form."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse, JsonResponse

from regulars.accounts.proofs import mailed_codes
from regulars.accounts.rate_limits import TooManyAttempts, attempting
from regulars.base.email_address import canonical_email
from regulars.usecases.password_login import is_email_address
from regulars.usecases.passwordless import mail_new_code

from ..email_code import BAD_EMAIL
from .request import LONGEST, EmbeddedLoginError, EmbeddedRequest, embedded_endpoint

SENDS = ("link", "code")
# Keys of authParams that are passed on to /authorize, which validates them again.
PASSED_ON = (
    "response_type",
    "response_mode",
    "redirect_uri",
    "scope",
    "audience",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
)


@embedded_endpoint()
def start(call: EmbeddedRequest) -> HttpResponse:
    """`{"connection": "email", "email", "send": "code" | "link", "authParams"}`. The answer is the same for every address."""
    email, send = canonical_email(call.text("email")).lower(), call.text("send") or "link"
    if call.text("connection") != mailed_codes.CONNECTION or not mailed_codes.is_open():
        raise EmbeddedLoginError("bad.connection", "Connection does not exist or is switched off")
    if not is_email_address(email):
        raise EmbeddedLoginError("bad.email", BAD_EMAIL)
    if send not in SENDS:
        raise EmbeddedLoginError("invalid_request", "send is link or code.")
    onward = _authorize(call) if send == "link" else ""
    try:
        mail_new_code(call.attempt("code", email), send, client=call.client, onward=onward)
    except TooManyAttempts as refused:
        raise EmbeddedLoginError("too_many_requests", refused.message, 429) from refused
    return JsonResponse({"_id": secrets.token_hex(12), "email": email, "email_verified": False})


@embedded_endpoint()
def verify(call: EmbeddedRequest) -> HttpResponse:
    """Answer whether the code is right, without using it up, for SDKs that check it first."""
    email, digits = call.text("email"), call.text("verification_code")
    try:
        with attempting(call.attempt("guess", email)) as place:
            if mailed_codes.find_for_app(place.attempt, call.client, digits) is None:
                raise EmbeddedLoginError(
                    "invalid_user_password", "Wrong email or verification code.", 403, error="access_denied"
                )
            place.succeed()
    except TooManyAttempts as refused:
        raise EmbeddedLoginError("too_many_attempts", refused.message, 429) from refused
    return JsonResponse({})


def _authorize(call: EmbeddedRequest) -> str:
    """Return the address that the link leads to: the app's own request, which /authorize validates like any other."""
    given: Any = call.body.get("authParams") or {}
    if not isinstance(given, dict):
        raise EmbeddedLoginError("invalid_request", "authParams must be an object.")
    kept = {name: given[name] for name in PASSED_ON if isinstance(given.get(name), str) and len(given[name]) <= LONGEST}
    return "/authorize?" + urlencode({"client_id": call.client.pk, **kept})
