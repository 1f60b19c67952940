"""What every page of this door shares: its headers, where it leads on, and how somebody comes in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import (
    clear_authentication_records,
    get_authentication_records,
    record_authentication,
)
from allauth.account.utils import perform_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme

from regulars.accounts.factors.codes import is_enrolled
from regulars.accounts.models import Account
from regulars.profiles.find import find_by_account
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import sign_in_block
from regulars.usecases.users import account_of

P = ParamSpec("P")

# No form-action: after the form the browser follows redirects to the application that asked for the login, and
# browsers hold the whole chain to it, custom schemes of apps included.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data: https:",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# Pages that offer passkeys have the one script of this door.
POLICY_WITH_PASSKEYS = f"{CONTENT_SECURITY_POLICY}; script-src 'self'; connect-src 'self'"
# What an application may say about the login it wants; kept from page to page.
FRESH = 600  # seconds after a proof in which she may change how she signs in
CARRIED = ("next", "login_hint", "prompt", "ui_locales", "acr_values")
# Words of acr_values that ask for a second factor: Auth0's, and the short one.
MULTI_FACTOR = {"http://schemas.openid.net/pape/policies/2007/06/multi-factor", "mfa"}
SECOND_FACTOR = "/second-factor"
WAITING = "signin_waiting"  # session key: who has shown a first proof and not yet the second
PATIENCE = 600  # seconds to find the phone


@dataclass(frozen=True)
class Waiting:
    """Somebody between two proofs. `how` is what is recorded of the first; `at` is seconds since 1970."""

    account: int
    method: str
    onward: str
    how: dict[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=time.time)


def page(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A page of this door: never cached, nothing from elsewhere on it, in nobody's frame."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        response = view(request, *args, **kwargs)
        add_never_cache_headers(response)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        return response

    return guarded


def with_passkeys(response: HttpResponse) -> HttpResponse:
    """A page of this door that may run its one script and ask us what a passkey must sign."""
    response.headers["Content-Security-Policy"] = POLICY_WITH_PASSKEYS
    return response


def local_path(wanted: str) -> str:
    """Where to go on: a path of this house, or its front door."""
    local = (
        wanted.startswith("/") and wanted.isprintable() and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    )
    return wanted if local else "/"


def onward(request: HttpRequest) -> str:
    """Where she goes after signing in; by way of the second factor when the application asks for one."""
    goes_to = local_path(request.GET.get("next", ""))
    asked = MULTI_FACTOR.intersection(request.GET.get("acr_values", "").split())
    return f"{SECOND_FACTOR}?{urlencode({'next': goes_to})}" if asked else goes_to


def address(path: str, request: HttpRequest, **more: str) -> str:
    """Another page of this door, with what the application said about the login."""
    kept = {name: request.GET[name] for name in CARRIED if request.GET.get(name)}
    if "next" in kept:
        kept["next"] = local_path(kept["next"])
    query = urlencode({**kept, **more})
    return f"{path}?{query}" if query else path


def words(request: HttpRequest, title: str, sentence: str, status: int = 200) -> HttpResponse:
    """A page that says one thing, with the way back to signing in."""
    context = {"title": title, "sentence": sentence, "login": address("/login", request)}
    return render(request, "signin/words.html", context, status=status)


def customer(request: HttpRequest) -> Profile | None:
    """The customer who is signed in on this browser and may be (`profiles.sign_in`). Staff are no customers."""
    profile = session_profile(request)
    return None if profile is None or sign_in_block(profile) else profile


def session_profile(request: HttpRequest) -> Profile | None:
    """The customer of this browser's session, whether they may still sign in or not."""
    account = request.user
    if not isinstance(account, Account) or account.is_staff:
        return None
    profile = find_by_account(account.pk)
    if profile is not None:
        profile.account = account  # known already: the rule for signing in asks for it
    return profile


def is_fresh(request: HttpRequest) -> bool:
    """Whether she proved within the last minutes that it is her, with the second factor if she has one.

    What changes an account asks for that. A fresh login serves everybody: a password, a passkey, or her provider asked
    again (`prompt=login`).
    """
    account = request.user
    if not isinstance(account, Account):
        return False
    proofs = proofs_of(request, account)
    latest = max((float(proof["at"]) for proof in proofs), default=0.0)
    has_both = not is_enrolled(account) or any(proof["method"] == "mfa" for proof in proofs)
    return time.time() - latest < FRESH and has_both


def enter(request: HttpRequest, account: Account, method: str, onward: str, **how: Any) -> HttpResponse:
    """Start her session and go on; first to the second factor, if she has one and `method` was not that."""
    account = account_of(account)
    if method != "mfa" and is_enrolled(account):
        request.session[WAITING] = asdict(Waiting(account.pk, method, onward, how))
        return HttpResponseRedirect(SECOND_FACTOR)
    return let_in(request, account, [(method, how)], onward)


def let_in(
    request: HttpRequest, account: Account, proofs: list[tuple[str, dict[str, Any]]], onward: str
) -> HttpResponse:
    """Start her session. What allauth records of it (method, time) is where tokens get auth_time and amr."""
    if request.user.is_authenticated and request.user.pk != account.pk:
        get_adapter().logout(request)  # another person's session: nothing of it carries over
    request.session.pop(WAITING, None)
    clear_authentication_records(request)
    for method, how in proofs:
        record_authentication(request, account, method, **how)
    return perform_login(request, account, email_verification="none", redirect_url=onward)  # type: ignore[no-any-return]


def proofs_of(request: HttpRequest, account: Account) -> list[dict[str, Any]]:
    """How she proved who she is in this session: `{"method", "at", …}`, oldest first."""
    return list(get_authentication_records(request, account))
