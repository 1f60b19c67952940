"""A new password, for who has one."""

from __future__ import annotations

from django.contrib.auth import HASH_SESSION_KEY
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from regulars.accounts.models import Account
from regulars.accounts.passwords import problems_with, rules_of, set_password
from regulars.usecases.sign_out import end_sessions

from ..mail import tell
from ..passwords import CONNECTION
from .own import HERE, fresh_page


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@fresh_page
def change_password(request: HttpRequest, account: Account) -> HttpResponse:
    """`/me/security/password`: she has signed in a moment ago, so the old one is not asked. Every other session ends."""
    if not account.has_usable_password():
        return HttpResponseRedirect(HERE)
    if request.method == "GET":
        context = {"email": account.email, "rules": rules_of(CONNECTION)}
        return render(request, "signin/security/password.html", context)
    password = request.POST.get("password", "")
    if problems := problems_with(password, account, CONNECTION):
        context = {"email": account.email, "problem": " ".join(problems), "rules": rules_of(CONNECTION)}
        return render(request, "signin/security/password.html", context, status=422)
    _change(request, account, password)
    return HttpResponseRedirect(HERE)


@transaction.atomic
def _change(request: HttpRequest, account: Account, password: str) -> None:
    set_password(account, password, CONNECTION)
    end_sessions(account, but=request.session.session_key or "")
    tell(account, "password_changed")
    # Not Django's `update_session_auth_hash`, which gives the session another key: apps know this one by its sid.
    request.session[HASH_SESSION_KEY] = account.get_session_auth_hash()
