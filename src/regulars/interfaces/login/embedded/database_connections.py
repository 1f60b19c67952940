"""/dbconnections/…: sign-up and password reset from an app's own form. Both answer alike for every address."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.views.decorators.debug import sensitive_post_parameters

from regulars.accounts.rate_limits import TooManyAttempts, counting
from regulars.base.email_address import canonical_email
from regulars.base.text import storable
from regulars.connections.login_methods import PASSWORD_CONNECTION, has_passwords
from regulars.usecases.account_mails import mail_reset_link
from regulars.usecases.password_login import begin_signup, signup_problems

from .request import EmbeddedLoginError, EmbeddedRequest, embedded_endpoint

RESET_SENT = "We've just sent you an email to reset your password."  # Auth0's words; Lock shows its own
NAMES = ("given_name", "family_name", "name", "nickname", "picture")
MOST_FIELDS, LONGEST_FIELD = 10, 500  # Auth0's
FIELD = re.compile(r"[A-Za-z0-9_]{1,64}")


@sensitive_post_parameters()
@embedded_endpoint()
def signup(call: EmbeddedRequest) -> HttpResponse:
    """Start a sign-up. A link by mail finishes it, as on the hosted page; `_id` belongs to no account."""
    email, password = canonical_email(call.text("email")).lower(), call.text("password")
    _refuse_connection(call)
    problems = signup_problems(email, password)
    if "email" in problems:
        raise EmbeddedLoginError("invalid_signup", problems["email"])
    if "password" in problems:
        policy = problems["password"]
        raise EmbeddedLoginError("invalid_password", policy, name="PasswordStrengthError", policy=policy)
    answers = {"source": f"app:{call.client.pk}", "values": {**_names(call), **_metadata(call)}}
    with _limited():
        begin_signup(call.attempt("signup", email), email, password, "/", answers if answers["values"] else {})
    return JsonResponse({"_id": secrets.token_hex(12), "email": email, "email_verified": False})


@embedded_endpoint()
def change_password(call: EmbeddedRequest) -> HttpResponse:
    email = call.text("email").strip()
    _refuse_connection(call)
    with _limited(), counting(call.attempt("reset", email)):
        mail_reset_link(storable(email[:254]), "/")
    return HttpResponse(RESET_SENT)


def _refuse_connection(call: EmbeddedRequest) -> None:
    if call.text("connection") not in ("", PASSWORD_CONNECTION) or not has_passwords():
        raise EmbeddedLoginError("bad.connection", "The connection does not exist or is switched off.")


def _names(call: EmbeddedRequest) -> dict[str, str]:
    return {name: call.text(name)[:LONGEST_FIELD] for name in NAMES if call.text(name)}


def _metadata(call: EmbeddedRequest) -> dict[str, str]:
    """Return Lock's additionalSignUpFields, each as a path in `user_metadata`."""
    given: Any = call.body.get("user_metadata") or {}
    if not isinstance(given, dict) or len(given) > MOST_FIELDS:
        raise EmbeddedLoginError("invalid_body", f"user_metadata has at most {MOST_FIELDS} fields.")
    for name, value in given.items():
        if not FIELD.fullmatch(name) or not isinstance(value, str) or len(value) > LONGEST_FIELD:
            raise EmbeddedLoginError(
                "invalid_body", f"user_metadata.{name[:64]} must be a text of at most {LONGEST_FIELD} characters."
            )
    return {f"user_metadata.{name}": str(storable(value)) for name, value in given.items() if value}


@contextmanager
def _limited() -> Iterator[None]:
    try:
        yield
    except TooManyAttempts as refused:
        raise EmbeddedLoginError("too_many_requests", refused.message, 429) from refused
