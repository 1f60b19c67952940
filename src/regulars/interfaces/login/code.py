"""Signing in with a code or a link by mail. Nothing on these pages tells whether somebody signs in with the address."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from regulars.accounts.proofs import codes
from regulars.accounts.proofs.models import EmailCode
from regulars.base.crypto import random_secret
from regulars.base.errors import DomainError
from regulars.usecases.passwordless import enter_by_mailbox

from .code_mail import ask_to_mail
from .door import address, enter, onward, page, words
from .limits import count_attempt

COOKIE = "regulars_code"  # what only the browser that asked holds
SALT = "regulars.signin.code"
LONGEST_EMAIL = 254
BAD_EMAIL = gettext_noop("Write an e-mail address, like name@example.com.")
WRONG = gettext_noop("That is not the code, or it no longer works. After three wrong tries you need a new one.")


@require_http_methods(["GET", "POST"])
@page
def ask_code(request: HttpRequest) -> HttpResponse:
    """`/code?next=&login_hint=`: asks for an address and sends a code there."""
    if not codes.is_open():
        return HttpResponseRedirect(address("/login", request))
    if request.method == "GET":
        return _ask_page(request, request.GET.get("login_hint", ""))
    email = request.POST.get("email", "").strip().lower()
    if not is_address(email):
        return _ask_page(request, email, BAD_EMAIL, 422)
    try:
        count_attempt(request, "code", email)
    except DomainError as refused:
        return _ask_page(request, email, refused.message, 429)
    browser = request.COOKIES.get(COOKIE) or random_secret(43)
    expected = codes.expect(email, browser=browser, onward=onward(request))
    ask_to_mail(expected, "code_and_link")
    response = HttpResponseRedirect(address("/code/enter", request, code=signing.dumps(expected.pk, salt=SALT)))
    response.set_cookie(
        COOKIE,
        browser,
        max_age=int(codes.LIVES.total_seconds()),
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
        number = int(signing.loads(request.GET.get("code", ""), salt=SALT, max_age=codes.LIVES))
    except signing.BadSignature:
        return _run_out(request)
    if request.method == "GET":
        return _enter_page(request)
    browser = request.COOKIES.get(COOKIE, "")
    expected = codes.find(number, browser)
    if expected is None or not codes.is_right(expected, request.POST.get("digits", "")):
        return _enter_page(request, WRONG, 401)
    return _let_in(request, expected)


@require_http_methods(["GET", "POST"])
@page
def open_link(request: HttpRequest) -> HttpResponse:
    """`/code/open?link=`: the link of the mail. A page with a button, because mail scanners open links too.

    In another browser than the one that asked it signs nobody in: whoever sent the mail off could be a stranger who
    waits there. She types the digits where she began. An app's link has no such browser; it opens where she reads her mail.
    """
    expected = codes.find_by_link(request.GET.get("link", ""))
    if expected is None:
        return _run_out(request)
    if expected.browser and not codes.is_of(expected, request.COOKIES.get(COOKIE, "")):
        sentence = gettext_noop(
            "This browser did not ask for the mail. Go back to where you began, and type the code from the mail there."
        )
        return words(request, gettext_noop("Go on where you began"), sentence, 403)
    if request.method == "GET":
        return render(request, "signin/code_open.html", {"email": expected.email})
    return _let_in(request, expected)


def is_address(email: str) -> bool:
    try:
        validate_email(email if len(email) <= LONGEST_EMAIL else "")
    except ValidationError:
        return False
    return True


def _let_in(request: HttpRequest, expected: EmailCode) -> HttpResponse:
    if not codes.use(expected):
        return _run_out(request)
    try:
        account = enter_by_mailbox(expected.email, codes.CONNECTION)
    except DomainError as no:
        return words(request, gettext_noop("You cannot sign in"), no.message, 403)
    return enter(request, account, "code", expected.onward, email=expected.email, connection=codes.CONNECTION)


def _ask_page(request: HttpRequest, email: str, problem: str = "", status: int = 200) -> HttpResponse:
    context = {
        "email": email,
        "problem": problem,
        "here": address("/code", request),
        "login": address("/login", request),
    }
    return render(request, "signin/code_ask.html", context, status=status)


def _enter_page(request: HttpRequest, problem: str = "", status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {
        "problem": problem,
        "demo": settings.DEMO,
        "again": address("/code", request),
        "login": address("/login", request),
    }
    return render(request, "signin/code_enter.html", context, status=status)


def _run_out(request: HttpRequest) -> HttpResponse:
    sentence = gettext_noop("It was used already, or is older than ten minutes. Ask for a new one.")
    return words(request, gettext_noop("This code no longer works"), sentence, 410)
