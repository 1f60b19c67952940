"""The hosted login page: every way in that the business offers, on one card."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from regulars.accounts.proofs import codes
from regulars.base.errors import DomainError

from .connections import find_social, has_passwords, social_connections
from .door import address, customer, enter, onward, page, with_passkeys
from .embedded.authenticate import enter_by_ticket
from .limits import count_attempt, give_back
from .passwords import CONNECTION, check

WRONG = gettext_noop("E-mail or password is not right.")


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@page
def login(request: HttpRequest) -> HttpResponse:
    """`/login?next=&login_hint=&screen_hint=&connection=&prompt=`: signed in she goes on, unless `prompt=login`.

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


def _sign_in(request: HttpRequest) -> HttpResponse:
    email, password = request.POST.get("email", ""), request.POST.get("password", "")
    try:
        count_attempt(request, "login", email)
    except DomainError as refused:
        return _page(request, email=email, problem=refused.message, status=429)
    account = check(email, password)
    if account is None or not has_passwords():
        return _page(request, email=email, problem=WRONG, status=401)
    with transaction.atomic():  # what a login writes is one commit
        entered = enter(request, account, "password", onward(request), email=account.email, connection=CONNECTION)
        give_back(request, "login", email)  # last: others of her machine wait for this row until the commit
    return entered


def _page(request: HttpRequest, *, email: str, problem: str = "", status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {
        "ways": [(each, address(f"/login/{each.name}", request)) for each in social_connections()],
        "passwords": has_passwords(),
        "email": email,
        "problem": problem,
        "stopped": find_social(request.GET.get("stopped", "")),
        "here": address("/login", request),
        "signup": address("/signup", request),
        "reset": address("/password/reset", request),
        "passkey": address("/passkey", request),
        "code": address("/code", request) if codes.is_open() else "",
    }
    return with_passkeys(render(request, "signin/login.html", context, status=status))
