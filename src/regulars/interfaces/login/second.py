"""The second factor: after a password or a social login of somebody who has one, and when an application asks for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from regulars.accounts.factors import codes, passkeys
from regulars.accounts.models import Account
from regulars.base.errors import DomainError, Invalid
from regulars.profiles.sign_in import account_block
from regulars.usecases.users import account_of

from .door import PATIENCE, WAITING, Waiting, address, customer, enter, let_in, onward, page, proofs_of, with_passkeys
from .limits import count_attempt, give_back
from .mail import tell

WRONG = gettext_noop("This code is not right, or was used before. Take the one that your app shows now.")


@dataclass(frozen=True)
class Asked:
    """Who is asked. `first` is the proof she gave a moment ago; None when she is signed in and an application wants more."""

    account: Account
    goes_to: str
    first: Waiting | None


@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
@page
def second_factor(request: HttpRequest) -> HttpResponse:
    """`/second-factor?next=`: a code, a recovery code or a passkey. Who has none yet is sent to set one up."""
    asked = _asked(request)
    if asked is None:
        return HttpResponseRedirect(address("/login", request))
    if asked.first is None and any(each["method"] == "mfa" for each in proofs_of(request, asked.account)):
        return HttpResponseRedirect(asked.goes_to)
    if not codes.is_enrolled(asked.account):
        return HttpResponseRedirect("/me/security/app?" + urlencode({"next": asked.goes_to}))
    return _check(request, asked) if request.method == "POST" else _page(request, asked)


@require_POST
@page
def second_factor_options(request: HttpRequest) -> HttpResponse:
    """`/second-factor/options`: what one of her own passkeys must sign."""
    asked = _asked(request)
    return JsonResponse(passkeys.options_to_sign_in(asked.account)) if asked else HttpResponse(status=403)


@require_POST
@page
def passkey_options(request: HttpRequest) -> HttpResponse:
    """`/passkey/options`: what any passkey of this house must sign; the same for everybody."""
    return JsonResponse(passkeys.options_to_sign_in())


@require_POST
@page
def passkey(request: HttpRequest) -> HttpResponse:
    """`/passkey?next=`: signing in with nothing but a passkey, which is two factors in one."""
    try:
        count_attempt(request, "passkey", "")
        key = passkeys.check(request.POST.get("credential", ""))
        account = owner_of(key)
    except DomainError as no:
        warn(no)
        status = 429 if no.code == "too_many_attempts" else 401
        context = {"title": "That did not work", "sentence": no.message, "login": address("/login", request)}
        return render(request, "signin/words.html", context, status=status)
    give_back(request, "passkey", "")
    return enter(request, account, "mfa", onward(request), **how_alone(key))


def owner_of(key: Authenticator) -> Account:
    """The customer whose passkey it is; staff and who is shut out have no way in by it. Raises `Invalid("bad_passkey")`."""
    account = Account.objects.filter(pk=key.user_id).first()
    if account is None or account_block(account):
        raise passkeys.refused()
    return account


def how_alone(key: Authenticator) -> dict[str, Any]:
    """What is recorded of a passkey that was the only proof."""
    return {**_how(key), "passwordless": True}


def _asked(request: HttpRequest) -> Asked | None:
    kept: dict[str, Any] | None = request.session.get(WAITING)
    if kept and time.time() - kept["at"] < PATIENCE:
        first = Waiting(**kept)
        account = Account.objects.filter(pk=first.account).first()
        blocked = account is None or account_block(account)
        return None if account is None or blocked else Asked(account_of(account), first.onward, first)
    profile = customer(request)
    return Asked(profile.account, onward(request), None) if profile and profile.account else None


def _check(request: HttpRequest, asked: Asked) -> HttpResponse:
    name = f"account {asked.account.pk}"
    try:
        count_attempt(request, "second", name)
        proof = _proof(request, asked.account)
    except DomainError as no:
        warn(no)
        return _page(request, asked, no.message, 429 if no.code == "too_many_attempts" else 401)
    give_back(request, "second", name)
    if asked.first is None:
        record_authentication(request, asked.account, "mfa", **_how(proof))
        return HttpResponseRedirect(asked.goes_to)
    first = (asked.first.method, asked.first.how)
    return let_in(request, asked.account, [first, ("mfa", _how(proof))], asked.goes_to)


def _proof(request: HttpRequest, account: Account) -> Authenticator:
    if request.POST.get("credential"):
        return passkeys.check(request.POST["credential"], account)
    proof = codes.check_code(account, request.POST.get("code", ""))
    if proof is None:
        raise Invalid("wrong_code", WRONG, "code")
    return proof


def warn(no: DomainError) -> None:
    """She hears of a passkey that may have been copied: whoever holds the copy would not tell her."""
    if isinstance(no, passkeys.CopiedPasskey) and not no.passkey.user.is_staff:
        tell(account_of(no.passkey.user), "passkey_copied")


def _how(proof: Authenticator) -> dict[str, Any]:
    """As allauth writes it: the provider reads `amr` from it."""
    return {"id": proof.pk, "type": str(proof.type)}


def _page(request: HttpRequest, asked: Asked, problem: str = "", status: int = 200) -> HttpResponse:
    context = {
        "problem": problem,
        "has_app": codes.find(asked.account, codes.Kind.TOTP) is not None,
        "has_passkey": bool(passkeys.passkeys_of(asked.account)),
        "here": request.get_full_path(),
        "login": address("/login", request, prompt="login"),
    }
    return with_passkeys(render(request, "signin/second.html", context, status=status))
