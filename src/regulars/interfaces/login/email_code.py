"""Sign-in with a code or a link by mail. Nothing on these pages shows whether an address has an account."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from regulars.accounts.proofs import mailed_codes
from regulars.accounts.proofs.models import EmailCode
from regulars.accounts.rate_limits import TooManyAttempts, attempting
from regulars.base.crypto import random_secret
from regulars.base.email_address import canonical_email, readable_email
from regulars.base.errors import DomainError, Unavailable
from regulars.interfaces.pages.attempts import attempt_of
from regulars.interfaces.pages.navigation import address, message_page
from regulars.interfaces.pages.response_policy import page
from regulars.interfaces.pages.signed_in import shown_here
from regulars.usecases.password_login import is_email_address
from regulars.usecases.passwordless import mail_new_code, passwordless_login

from .entry import enter_with_proof, onward

COOKIE = "regulars_code"  # what only the browser that asked holds
SALT = "regulars.code"
BAD_EMAIL = gettext_noop("Write an e-mail address, like name@example.com.")
WRONG_CODE = gettext_noop("That is not the code, or it no longer works. After three wrong tries you need a new one.")


@require_http_methods(["GET", "POST"])
@page
def ask_code(request: HttpRequest) -> HttpResponse:
    """`/code?next=&login_hint=`: ask for an address and send a code there."""
    if not mailed_codes.is_open():
        return HttpResponseRedirect(address("/login", request))
    if request.method == "GET":
        return _ask_page(request, readable_email(request.GET.get("login_hint", "")))
    typed = request.POST.get("email", "")
    email = canonical_email(typed).lower()
    if not is_email_address(email):
        return _ask_page(request, typed, BAD_EMAIL, 422)
    browser = request.COOKIES.get(COOKIE) or random_secret(43)
    try:
        expected = mail_new_code(
            attempt_of(request, "code", email), "code_and_link", browser=browser, onward=onward(request)
        )
    except TooManyAttempts as refused:
        return _ask_page(request, typed, refused.message, 429)
    response = HttpResponseRedirect(address("/code/enter", request, code=signing.dumps(expected.pk, salt=SALT)))
    response.set_cookie(
        COOKIE,
        browser,
        max_age=int(mailed_codes.LIVES.total_seconds()),
        path="/code",
        httponly=True,
        samesite="Lax",
        secure=settings.SECURE,
    )
    return response


@require_http_methods(["GET", "POST"])
@page
def enter_code(request: HttpRequest) -> HttpResponse:
    """`/code/enter?code=<which>&next=`: the digits, in the browser that asked for them."""
    try:
        number = int(signing.loads(request.GET.get("code", ""), salt=SALT, max_age=mailed_codes.LIVES))
    except signing.BadSignature:
        return _expired(request)
    browser = request.COOKIES.get(COOKIE, "")
    email = mailed_codes.address_of(number, browser)
    if request.method == "GET":
        return _enter_page(request, email)
    expected = mailed_codes.find(number, browser)
    if expected is None:
        return _enter_page(request, email, WRONG_CODE, 401)
    try:
        with attempting(attempt_of(request, "guess", expected.email)) as place:
            if not mailed_codes.is_right(expected, request.POST.get("digits", "")):
                return _enter_page(request, email, WRONG_CODE, 401)
            place.succeed()
    except TooManyAttempts as refused:
        return _enter_page(request, email, refused.message, 429)
    return _sign_in(request, expected)


@require_http_methods(["GET", "POST"])
@page
def open_link(request: HttpRequest) -> HttpResponse:
    """`/code/open?link=`: the link of the mail. A page with a button, because mail scanners open links too.

    In another browser than the one that asked, it signs in no one: an attacker could have asked for the mail and wait
    there. The customer enters the digits where they began. An app's link has no such browser; it opens anywhere.
    """
    expected = mailed_codes.find_by_link(request.GET.get("link", ""))
    if expected is None:
        return _expired(request)
    if expected.browser and not mailed_codes.is_of(expected, request.COOKIES.get(COOKIE, "")):
        sentence = gettext_noop(
            "This browser did not ask for the mail. Go back to where you began, and type the code from the mail there."
        )
        return message_page(request, gettext_noop("Go on where you began"), sentence, 403)
    if request.method == "GET":
        return render(request, "login/code_open.html", {"email": readable_email(expected.email)})
    return _sign_in(request, expected)


def _sign_in(request: HttpRequest, expected: EmailCode) -> HttpResponse:
    if not mailed_codes.use(expected):
        return _expired(request)
    try:
        login = passwordless_login(expected.email, mailed_codes.CONNECTION, shown_here(request))
    except Unavailable:  # the page of `serving.error_pages`
        raise
    except DomainError as no:
        return message_page(request, gettext_noop("You cannot sign in"), no.message, 403)
    how = {"email": expected.email, "connection": mailed_codes.CONNECTION}
    return enter_with_proof(request, login.account, "code", expected.onward, login.ended, **how)


def _ask_page(request: HttpRequest, email: str, problem: str = "", status: int = 200) -> HttpResponse:
    context = {
        "email": email,
        "problem": problem,
        "here": address("/code", request),
        "login": address("/login", request),
    }
    return render(request, "login/code_request.html", context, status=status)


def _enter_page(request: HttpRequest, email: str, problem: str = "", status: int = 200) -> HttpResponse:
    """Show the page again with the digits as they were typed; a new code goes to the same address, `email`."""
    context: dict[str, Any] = {
        "problem": problem,
        "digits": request.POST.get("digits", ""),
        "demo": settings.DEMO,
        "again": address("/code", request, **({"login_hint": readable_email(email)} if email else {})),
        "login": address("/login", request),
    }
    return render(request, "login/code_enter.html", context, status=status)


def _expired(request: HttpRequest) -> HttpResponse:
    sentence = gettext_noop("It was used already, or is older than ten minutes. Ask for a new one.")
    return message_page(request, gettext_noop("This code no longer works"), sentence, 410)
