"""Sign-up by e-mail and password. The page answers alike for every address; the link in the mail makes the account."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from regulars.accounts import passwords
from regulars.accounts.hashes import matches
from regulars.accounts.models import PendingSignup
from regulars.accounts.rate_limits import TooManyAttempts, attempting
from regulars.base.email_address import canonical_email, readable_email
from regulars.connections.login_methods import PASSWORD_CONNECTION, has_passwords, social_connections
from regulars.interfaces.pages.attempts import attempt_of
from regulars.interfaces.pages.navigation import address, message_page
from regulars.interfaces.pages.response_policy import page
from regulars.usecases.account_mails import find_pending_signup, signup_link
from regulars.usecases.password_login import SIGNUP_LIVES, begin_signup, finish_signup, signup_problems

from .entry import enter, onward

COOKIE = "regulars_signup"  # which sign-up began in this browser
WRONG_SIGNUP_PASSWORD = gettext_noop(
    "That is not the password of this sign-up. Did you not sign up yourself? Then leave this page."
)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@page
def signup(request: HttpRequest) -> HttpResponse:
    """`/signup?next=&login_hint=`: asks for an address and a password."""
    if not has_passwords():
        return HttpResponseRedirect(address("/login", request))
    if request.method == "GET":
        return _page(request, email=readable_email(request.GET.get("login_hint", "")))
    typed, password = request.POST.get("email", ""), request.POST.get("password", "")
    email = canonical_email(typed).lower()
    if problems := signup_problems(email, password):
        return _page(request, email=typed, problems=problems, status=422)
    try:
        pending = begin_signup(attempt_of(request, "signup", email), email, password, onward(request))
    except TooManyAttempts as refused:
        return _page(request, email=typed, problems={"email": refused.message}, status=429)
    # In a demonstration no mail leaves the machine, so the page itself carries the link, known address or not.
    context = {
        "email": readable_email(email),
        "link": signup_link(pending) if settings.DEMO else "",
        "login": address("/login", request),
    }
    response = render(request, "login/signup_sent.html", context)
    response.set_signed_cookie(
        COOKIE,
        str(pending.pk),
        max_age=int(SIGNUP_LIVES.total_seconds()),
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

    In another browser than the one that signed up, or for an app's own form, the customer enters the password once more:
    an attacker could have signed up with the customer's address and another password, and wait for the click.
    """
    pending = find_pending_signup(request.GET.get("token", ""))
    if pending is None:
        return message_page(
            request,
            gettext_noop("This link no longer works"),
            gettext_noop("It was used already, or is older than a day. Sign up again."),
            410,
        )
    began_here = _began_here(request, pending)
    if request.method == "GET":
        return _finish_page(request, pending, began_here)
    if not began_here:
        try:
            with attempting(attempt_of(request, "login", pending.email)) as place:
                if not matches(request.POST.get("password", ""), pending.password):
                    return _finish_page(request, pending, began_here, WRONG_SIGNUP_PASSWORD, 422)
                place.succeed()
        except TooManyAttempts as refused:
            return _finish_page(request, pending, began_here, refused.message, 429)
    account = finish_signup(pending)
    if account is None:
        return message_page(
            request,
            gettext_noop("You already have an account"),
            gettext_noop("Sign in with your password, or choose a new one."),
            409,
        )
    return enter(request, account, "password", pending.onward, email=account.email, connection=PASSWORD_CONNECTION)


def _began_here(request: HttpRequest, pending: PendingSignup) -> bool:
    kept = request.get_signed_cookie(COOKIE, default="", max_age=SIGNUP_LIVES)
    return bool(kept == str(pending.pk))


def _finish_page(
    request: HttpRequest, pending: PendingSignup, began_here: bool, problem: str = "", status: int = 200
) -> HttpResponse:
    context = {"email": readable_email(pending.email), "began_here": began_here, "problem": problem}
    return render(request, "login/signup_finish.html", context, status=status)


def _page(
    request: HttpRequest, *, email: str, problems: dict[str, str] | None = None, status: int = 200
) -> HttpResponse:
    context = {
        "connections": [(each, address(f"/login/{each.name}", request)) for each in social_connections()],
        "email": email,
        "problems": problems or {},
        "here": address("/signup", request),
        "login": address("/login", request),
        "rules": passwords.rules_of(PASSWORD_CONNECTION),
    }
    return render(request, "login/signup.html", context, status=status)
