"""The hosted login page with every login method of the business, the start page, and signing out."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from regulars.accounts.proofs import mailed_codes
from regulars.accounts.rate_limits import TooManyAttempts, attempting
from regulars.connections.login_methods import PASSWORD_CONNECTION, find_social, has_passwords, social_connections
from regulars.interfaces.pages.attempts import attempt_of
from regulars.interfaces.pages.navigation import address
from regulars.interfaces.pages.response_policy import page, with_passkeys
from regulars.interfaces.pages.signed_in import customer
from regulars.profiles.document import own_name
from regulars.usecases.password_login import find_by_password

from .embedded.authenticate import enter_by_ticket
from .entry import enter, onward

WRONG_PASSWORD = gettext_noop("E-mail or password is not right.")


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@page
def login(request: HttpRequest) -> HttpResponse:
    """`/login?next=&login_hint=&screen_hint=&connection=&prompt=`: a signed-in customer goes on, unless `prompt=login`.

    `screen_hint=signup` opens the sign-up; `connection=<name>` goes straight there.
    """
    if request.method == "POST":
        return _sign_in(request)
    if request.GET.get("login_ticket") and (entered := enter_by_ticket(request)):
        return entered
    if request.GET.get("prompt") != "login" and customer(request):
        return HttpResponseRedirect(onward(request))
    if wanted := find_social(request.GET.get("connection", "")):
        return HttpResponseRedirect(address(f"/login/{wanted.name}", request))
    if request.GET.get("screen_hint") == "signup":
        return HttpResponseRedirect(address("/signup", request))
    return _page(request, email=request.GET.get("login_hint", ""))


@require_safe
@page
def start(request: HttpRequest) -> HttpResponse:
    """`/`: who is signed in here, and links to sign in or out."""
    return render(request, "login/start.html", {"signed_in_as": _signed_in_as(request)})


@require_http_methods(["GET", "POST"])
@page
def logout(request: HttpRequest) -> HttpResponse:
    """`/logout?next=`: a page with a button; the button ends the session and leads on."""
    if request.method == "POST":
        get_adapter().logout(request)
        return HttpResponseRedirect(onward(request))
    return render(request, "login/logout.html", {"signed_in_as": _signed_in_as(request)})


def _signed_in_as(request: HttpRequest) -> str:
    profile = customer(request)
    if profile is None:
        return ""
    return own_name(profile) or "a customer"


def _sign_in(request: HttpRequest) -> HttpResponse:
    email, password = request.POST.get("email", ""), request.POST.get("password", "")
    try:
        with attempting(attempt_of(request, "login", email)) as place:
            account = find_by_password(email, password)
            if account is None or not has_passwords():
                return _page(request, email=email, problem=WRONG_PASSWORD, status=401)
            with transaction.atomic():  # what a login writes is one commit
                how = {"email": account.email, "connection": PASSWORD_CONNECTION}
                entered = enter(request, account, "password", onward(request), **how)
                place.succeed()
            return entered
    except TooManyAttempts as refused:
        return _page(request, email=email, problem=refused.message, status=429)


def _page(request: HttpRequest, *, email: str, problem: str = "", status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {
        "connections": [(each, address(f"/login/{each.name}", request)) for each in social_connections()],
        "passwords": has_passwords(),
        "email": email,
        "problem": problem,
        "stopped": find_social(request.GET.get("stopped", "")),
        "here": address("/login", request),
        "signup": address("/signup", request),
        "reset": address("/password/reset", request),
        "passkey": address("/passkey", request),
        "code": address("/code", request) if mailed_codes.is_open() else "",
    }
    return with_passkeys(render(request, "login/login.html", context, status=status))
