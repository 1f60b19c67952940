"""Sign-up by e-mail and password. The page answers alike for every address; the link in the mail makes the account."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from regulars.accounts import passwords
from regulars.accounts.models import Account
from regulars.base.errors import DomainError
from regulars.connections.models import Connection
from regulars.profiles.find import is_email_taken
from regulars.usecases.complete_social_login import SubmittedValues, sign_up

from .connections import has_passwords, social_connections
from .door import address, enter, onward, page, words
from .limits import count_attempt
from .mail import ask_to_finish, finish_link, pending_of
from .models import PendingSignup
from .passwords import CONNECTION

LONGEST_EMAIL = 254
LIFETIME = dt.timedelta(days=1)
COOKIE = "regulars_signup"  # which sign-up began in this browser
NOT_HERS = gettext_noop("That is not the password of this sign-up. Did you not sign up yourself? Then leave this page.")


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@page
def signup(request: HttpRequest) -> HttpResponse:
    """`/signup?next=&login_hint=`: asks for an address and a password."""
    if not has_passwords():
        return HttpResponseRedirect(address("/login", request))
    if request.method == "GET":
        return _page(request, email=request.GET.get("login_hint", ""))
    email, password = request.POST.get("email", "").strip().lower(), request.POST.get("password", "")
    if problems := problems_with(email, password):
        return _page(request, email=email, problems=problems, status=422)
    try:
        count_attempt(request, "signup", email)
    except DomainError as refused:
        return _page(request, email=email, problems={"email": refused.message}, status=429)
    pending = wait_for_click(email, password, onward(request))
    # In a demonstration no mail leaves the machine, so the page itself carries the link, known address or not.
    context = {
        "email": email,
        "link": finish_link(pending) if settings.DEMO else "",
        "login": address("/login", request),
    }
    response = render(request, "signin/sent.html", context)
    response.set_signed_cookie(
        COOKIE,
        str(pending.pk),
        max_age=int(LIFETIME.total_seconds()),
        path="/signup",
        httponly=True,
        samesite="Lax",
        secure=settings.SECURE,
    )
    return response


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@page
def finish(request: HttpRequest) -> HttpResponse:
    """`/signup/finish?token=`: the link of the mail. A page with a button, because mail scanners open links too.

    In another browser than the one that signed up, or for an app's own form, she types her password once more: a stranger
    could have signed up with her address and his password, and wait for her click to share an account with her.
    """
    pending = pending_of(request.GET.get("token", ""))
    if pending is None:
        return words(
            request,
            gettext_noop("This link no longer works"),
            gettext_noop("It was used already, or is older than a day. Sign up again."),
            410,
        )
    began_here = _began_here(request, pending)
    if request.method == "GET":
        return _finish_page(request, pending, began_here)
    if not began_here and not check_password(request.POST.get("password", ""), pending.password):
        return _finish_page(request, pending, began_here, NOT_HERS, 422)
    account = _make_account(pending)
    if account is None:
        return words(
            request,
            gettext_noop("You already have an account"),
            gettext_noop("Sign in with your password, or choose a new one."),
            409,
        )
    return enter(request, account, "password", pending.onward, email=account.email, connection=CONNECTION)


def _began_here(request: HttpRequest, pending: PendingSignup) -> bool:
    kept = request.get_signed_cookie(COOKIE, default="", max_age=LIFETIME)
    return bool(kept == str(pending.pk))


def _finish_page(
    request: HttpRequest, pending: PendingSignup, began_here: bool, problem: str = "", status: int = 200
) -> HttpResponse:
    context = {"email": pending.email, "began_here": began_here, "problem": problem}
    return render(request, "signin/finish.html", context, status=status)


def problems_with(email: str, password: str) -> dict[str, str]:
    """What is wrong with each field, in words."""
    problems = {}
    try:
        validate_email(email if len(email) <= LONGEST_EMAIL else "")
    except ValidationError:
        problems["email"] = gettext_noop("Write an e-mail address, like name@example.com.")
    if wrong := passwords.problems_with(password, Account(email=email), CONNECTION):
        problems["password"] = " ".join(wrong)
    return problems


@transaction.atomic
def wait_for_click(email: str, password: str, onward: str, told: dict[str, Any] | None = None) -> PendingSignup:
    """A sign-up that the link in the mail finishes. `told` is `{"source", "values"}`: what an app asked her besides."""
    PendingSignup.objects.filter(expires_at__lt=timezone.now()).delete()
    pending = PendingSignup.objects.create(
        email=email,
        password=make_password(password),
        onward=onward,
        told=told or {},
        expires_at=timezone.now() + LIFETIME,
    )
    ask_to_finish(pending)
    return pending


@transaction.atomic
def _make_account(pending: PendingSignup) -> Account | None:
    """The account, once: two clicks, or two sign-ups with one address, meet at the connection's row."""
    list(Connection.objects.select_for_update().filter(name=CONNECTION))
    if not PendingSignup.objects.filter(pk=pending.pk).exists() or is_email_taken(pending.email):
        return None
    PendingSignup.objects.filter(email=pending.email).delete()
    submitted = SubmittedValues(**pending.told) if pending.told else None
    return sign_up(pending.email, pending.password, CONNECTION, submitted)


def _page(
    request: HttpRequest, *, email: str, problems: dict[str, str] | None = None, status: int = 200
) -> HttpResponse:
    context = {
        "ways": [(each, address(f"/login/{each.name}", request)) for each in social_connections()],
        "email": email,
        "problems": problems or {},
        "here": address("/signup", request),
        "login": address("/login", request),
        "rules": passwords.rules_of(CONNECTION),
    }
    return render(request, "signin/signup.html", context, status=status)
