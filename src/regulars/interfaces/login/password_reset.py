"""A forgotten password: a link by mail, good once and for an hour."""

from __future__ import annotations

from dataclasses import replace

from allauth.account.adapter import get_adapter
from django.contrib.auth.tokens import default_token_generator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from regulars.accounts.models import Account
from regulars.accounts.passwords import problems_with, rules_of
from regulars.accounts.rate_limits import TooManyAttempts, counting
from regulars.base.email_address import readable_email
from regulars.base.text import storable
from regulars.connections.login_methods import PASSWORD_CONNECTION
from regulars.interfaces.pages.attempts import attempt_of
from regulars.interfaces.pages.navigation import address, message_page
from regulars.interfaces.pages.response_policy import page
from regulars.interfaces.pages.signed_in import shown_here
from regulars.profiles.sign_in import account_block
from regulars.usecases.account_mails import mail_reset_link
from regulars.usecases.password_login import reset_password

from .entry import enter_with_proof, onward


@require_http_methods(["GET", "POST"])
@page
def reset(request: HttpRequest) -> HttpResponse:
    """`/password/reset?next=&login_hint=`: answers the same whether the address has an account or not."""
    context = {
        "email": request.POST.get("email", request.GET.get("login_hint", "")).strip(),
        "here": address("/password/reset", request),
        "login": address("/login", request),
    }
    if request.method == "GET":
        return render(request, "login/reset.html", context)
    try:
        with counting(attempt_of(request, "reset", context["email"])):
            mail_reset_link(storable(context["email"][:254]), onward(request))
    except TooManyAttempts as refused:
        return render(request, "login/reset.html", {**context, "problem": refused.message}, status=429)
    return render(request, "login/reset_sent.html", context)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@page
def new_password(request: HttpRequest, key: str, token: str) -> HttpResponse:
    """`/password/reset/<account>/<token>?next=`: the link of the mail; a new password signs the customer in."""
    account = Account.objects.filter(key=key).first()
    if account is None or account_block(account) or not default_token_generator.check_token(account, token):
        return message_page(
            request,
            gettext_noop("This link no longer works"),
            gettext_noop("It was used already, or is too old. Ask for a new one."),
            410,
        )
    if request.method == "GET":
        return render(
            request,
            "login/new_password.html",
            {"email": readable_email(account.email), "rules": rules_of(PASSWORD_CONNECTION)},
        )
    password = request.POST.get("password", "")
    if problems := problems_with(password, account, PASSWORD_CONNECTION):
        context = {
            "email": readable_email(account.email),
            "problem": " ".join(problems),
            "rules": rules_of(PASSWORD_CONNECTION),
        }
        return render(request, "login/new_password.html", context, status=422)
    shown = replace(shown_here(request), session_key="")
    get_adapter().logout(request)  # the session of this browser ends too, of whatever customer
    ended = reset_password(account, password, shown)
    how = {"email": account.email, "connection": PASSWORD_CONNECTION}
    return enter_with_proof(request, account, "password", onward(request), ended, **how)
