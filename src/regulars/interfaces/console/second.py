"""The second factor of staff: required outside the demonstration, set up at the first sign-in."""

from __future__ import annotations

import time
from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth import login, logout
from django.http import HttpRequest

from regulars.accounts.factors import codes, passkeys
from regulars.accounts.models import Account
from regulars.base.errors import DomainError, Invalid

from . import audit
from .door import PROVED, is_staff
from .login import note_failure, refuse_guessing

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
WAITING = "console_waiting"  # session key: whose password was right; {"account": 1, "at": <seconds since 1970>}
SECRET = "console_new_app"  # noqa: S105 - session key: what the app is being told, until it has shown a code
PATIENCE = 600  # seconds to find the phone


@dataclass(frozen=True)
class Somebody:
    """A member of staff at these pages: between two proofs, or signed in already and setting something up."""

    account: Account
    is_in: bool


def begin(request: HttpRequest, account: Account) -> str:
    """The password was right. Returns the address of the next step, empty when she is signed in now."""
    logout(request)  # whoever was signed in on this browser is not this person: nothing of that session carries over
    if settings.DEMO and not codes.is_enrolled(account):
        _let_in(request, account, "password")
        return ""
    request.session[WAITING] = {"account": account.pk, "at": time.time()}
    return "/console/login/second" if codes.is_enrolled(account) else "/console/login/setup"


def who(request: HttpRequest) -> Somebody | None:
    kept = request.session.get(WAITING)
    if kept and time.time() - kept["at"] < PATIENCE:
        account = Account.objects.filter(pk=kept["account"], is_staff=True, is_active=True).first()
        return Somebody(account, is_in=False) if account else None
    user = request.user
    return Somebody(user, is_in=True) if is_staff(request) and isinstance(user, Account) else None


def prove(request: HttpRequest, account: Account, code: str, credential: str) -> None:
    """Let in whoever shows the second factor. Raises `DomainError`: `too_many_attempts`, `wrong_code`, `bad_passkey`."""
    refuse_guessing(request, account.email)
    try:
        proof = passkeys.check(credential, account) if credential else codes.check_code(account, code)
    except DomainError as no:
        note_failure(request, account.email)
        if no.code == "copied_passkey":
            audit.note(request, "second_factor.copied", account.email)
        raise
    if proof is None:
        note_failure(request, account.email)
        raise Invalid("wrong_code", "This code is not right, or was used before. Take the one that your app shows now.")
    _let_in(request, account, str(proof.type))


def set_up(request: HttpRequest, somebody: Somebody, code: str, credential: str, name: str) -> None:
    """Take an app or a passkey on; who was on her way in is in. Raises `DomainError`."""
    account = somebody.account
    refuse_guessing(request, account.email)
    added = _add(request, account, code, credential, name)
    if somebody.is_in:
        request.session[PROVED] = True
    else:
        _let_in(request, account, str(added.type))
    audit.note(request, "second_factor.added", account.email, kind=str(added.type))


def _add(request: HttpRequest, account: Account, code: str, credential: str, name: str) -> Authenticator:
    if credential:
        return passkeys.add(account, credential, name)
    added = codes.add_app(account, request.session.get(SECRET) or codes.new_secret(), code)
    request.session.pop(SECRET, None)
    return added


def _let_in(request: HttpRequest, account: Account, how: str) -> None:
    request.session.pop(WAITING, None)
    login(request, account, backend=BACKEND)
    request.session[PROVED] = how != "password"
    audit.note(request, "login.succeeded", account.email, how=how)
