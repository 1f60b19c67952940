"""The second factor: after a password or a social login of a customer who has one, and when an application asks for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from regulars.accounts.factors import authenticator_codes, passkeys
from regulars.accounts.models import Account
from regulars.accounts.rate_limits import attempting
from regulars.accounts.session_contents import LOGIN_WAITING
from regulars.base.errors import DomainError, Invalid
from regulars.interfaces.pages.attempts import attempt_of, second_factor_attempt
from regulars.interfaces.pages.navigation import address
from regulars.interfaces.pages.response_policy import page, with_passkeys
from regulars.interfaces.pages.signed_in import customer, is_fresh, proofs_of
from regulars.profiles.sign_in import account_block
from regulars.usecases.account_mails import notify
from regulars.usecases.users import account_of

from .entry import (
    SECOND_FACTOR_SECONDS,
    Waiting,
    enter,
    is_demanded,
    onward,
    second_factor_path,
    start_session,
)

SET_UP = "/me/security/app"
WRONG_CODE = gettext_noop("This code is not right, or was used before. Take the one that your app shows now.")


@dataclass(frozen=True)
class SecondFactorLogin:
    """A login that waits for a second factor. `first` is the first proof; None for a session of which an app wants more."""

    account: Account
    goes_to: str
    first: Waiting | None


@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
@page
def second_factor(request: HttpRequest) -> HttpResponse:
    """`/second-factor?next=`: a code, a recovery code or a passkey. A customer without one is sent to set one up."""
    login = _find_login(request)
    if login is None:
        return HttpResponseRedirect(address("/login", request))
    if login.first is None and any(each["method"] == "mfa" for each in proofs_of(request, login.account)):
        return HttpResponseRedirect(login.goes_to)
    if not authenticator_codes.is_enrolled(login.account):
        set_up = second_factor_path(login.goes_to, is_demanded(request), SET_UP)
        # The page to set one up asks an old session for a fresh authentication, which a wish is not worth.
        if is_demanded(request) or is_fresh(request):
            return HttpResponseRedirect(set_up)
        return render(request, "login/second_factor_wish.html", {"set_up": set_up, "not_now": login.goes_to})
    return _check(request, login) if request.method == "POST" else _page(request, login)


@require_POST
@page
def second_factor_options(request: HttpRequest) -> HttpResponse:
    """`/second-factor/options`: what one of the customer's own passkeys must sign."""
    login = _find_login(request)
    return JsonResponse(passkeys.options_to_sign_in(login.account)) if login else HttpResponse(status=403)


@require_POST
@page
def passkey_options(request: HttpRequest) -> HttpResponse:
    """`/passkey/options`: what any passkey of this server must sign; the same for every browser."""
    return JsonResponse(passkeys.options_to_sign_in())


@require_POST
@page
def passkey(request: HttpRequest) -> HttpResponse:
    """`/passkey?next=`: sign in with nothing but a passkey, which is two factors in one."""
    try:
        with attempting(attempt_of(request, "passkey", "")) as place:
            key = passkeys.check(request.POST.get("credential", ""))
            account = owner_of(key)
            place.succeed()
    except DomainError as error:
        notify_of_copy(error)
        status = 429 if error.code == "too_many_attempts" else 401
        context = {"title": "That did not work", "sentence": error.message, "login": address("/login", request)}
        return render(request, "pages/message.html", context, status=status)
    return enter(request, account, "mfa", onward(request), **record_of_passkey_login(key))


def owner_of(key: Authenticator) -> Account:
    """Return the customer with this passkey. Raises `Invalid("bad_passkey")` for staff and for a blocked customer."""
    account = Account.objects.filter(pk=key.user_id).first()
    if account is None or account_block(account):
        raise passkeys.refused()
    return account


def record_of_passkey_login(key: Authenticator) -> dict[str, Any]:
    """Return the authentication record of a passkey that was the only proof."""
    return {**_record_of(key), "passwordless": True}


def _find_login(request: HttpRequest) -> SecondFactorLogin | None:
    kept: dict[str, Any] | None = request.session.get(LOGIN_WAITING)
    if kept and time.time() - kept["at"] < SECOND_FACTOR_SECONDS:
        first = Waiting(**kept)
        account = Account.objects.filter(pk=first.account).first()
        blocked = account is None or account_block(account) or not first.is_current
        return None if account is None or blocked else SecondFactorLogin(account_of(account), first.onward, first)
    profile = customer(request)
    return SecondFactorLogin(profile.account, onward(request), None) if profile and profile.account else None


def _check(request: HttpRequest, login: SecondFactorLogin) -> HttpResponse:
    try:
        with attempting(second_factor_attempt(request, login.account)) as place:
            proof = _proof(request, login.account)
            place.succeed()
    except DomainError as error:
        notify_of_copy(error)
        return _page(request, login, error.message, 429 if error.code == "too_many_attempts" else 401)
    if login.first is None:
        record_authentication(request, login.account, "mfa", **_record_of(proof))
        return HttpResponseRedirect(login.goes_to)
    first = (login.first.method, login.first.how)
    return start_session(request, login.account, [first, ("mfa", _record_of(proof))], login.goes_to)


def _proof(request: HttpRequest, account: Account) -> Authenticator:
    if request.POST.get("credential"):
        return passkeys.check(request.POST["credential"], account)
    proof = authenticator_codes.check_code(account, request.POST.get("code", ""))
    if proof is None:
        raise Invalid("wrong_code", WRONG_CODE, "code")
    return proof


def notify_of_copy(error: DomainError) -> None:
    """Notify the customer of a passkey that may have been copied: the holder of the copy would not."""
    if isinstance(error, passkeys.CopiedPasskey) and not error.passkey.user.is_staff:
        notify(account_of(error.passkey.user), "passkey_copied")


def _record_of(proof: Authenticator) -> dict[str, Any]:
    """Return the record as allauth writes it: tokens take `amr` from it."""
    return {"id": proof.pk, "type": str(proof.type)}


def _page(request: HttpRequest, login: SecondFactorLogin, problem: str = "", status: int = 200) -> HttpResponse:
    context = {
        "problem": problem,
        "typed": request.POST.get("code", ""),
        "has_app": authenticator_codes.find(login.account, authenticator_codes.Kind.TOTP) is not None,
        "has_passkey": bool(passkeys.passkeys_of(login.account)),
        "here": request.get_full_path(),
        "login": address("/login", request, prompt="login"),
        "not_now": "" if login.first or is_demanded(request) else login.goes_to,
    }
    return with_passkeys(render(request, "login/second_factor.html", context, status=status))
