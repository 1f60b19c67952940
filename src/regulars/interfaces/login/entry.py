"""Start the session of a customer who proved who they are; first ask for the second factor if they have one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import clear_authentication_records, record_authentication
from allauth.account.utils import perform_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from regulars.accounts.factors.authenticator_codes import is_enrolled
from regulars.accounts.models import Account
from regulars.accounts.proofs.addresses import NAMES, EarlierAccess
from regulars.accounts.session_contents import LOGIN_WAITING
from regulars.interfaces.pages.attempts import remember_browser
from regulars.interfaces.pages.navigation import local_path
from regulars.interfaces.pages.response_policy import page
from regulars.usecases.users import account_of

# Values of acr_values that ask for a second factor: Auth0's, and the short one.
MULTI_FACTOR = {"http://schemas.openid.net/pape/policies/2007/06/multi-factor", "mfa"}
SECOND_FACTOR = "/second-factor"
ENDED = "earlier_access_ended"  # session key: what the first proof of the address ended, until the customer has seen it
SECOND_FACTOR_SECONDS = 600  # between the first proof and the second


@dataclass(frozen=True)
class Waiting:
    """A login between two proofs. `how` is what is recorded of the first; `at` is seconds since 1970.

    `auth_hash` is of the account whose credential was shown and changes with its password: a login that began with the old
    one does not go on.
    """

    account: int
    method: str
    onward: str
    how: dict[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=time.time)
    auth_hash: str = ""

    @property
    def is_current(self) -> bool:
        shown = Account.objects.filter(pk=self.how.get("account", 0)).first()
        return shown is not None and constant_time_compare(self.auth_hash, shown.get_session_auth_hash())


def onward(request: HttpRequest) -> str:
    """Return the path to continue at after signing in, by way of the second factor when the application asks for one.

    `demanded` in the address: the pages offer no way around it. It decides nothing: /authorize refuses who comes back without.
    """
    goes_to = local_path(request.GET.get("next", ""))
    asked = MULTI_FACTOR.intersection(request.GET.get("acr_values", "").split())
    return second_factor_path(goes_to, is_demanded(request)) if asked else goes_to


def is_demanded(request: HttpRequest) -> bool:
    return request.GET.get("demanded") == "1"


def second_factor_path(goes_to: str, demanded: bool, page: str = SECOND_FACTOR) -> str:
    return f"{page}?{urlencode({'next': goes_to, **({'demanded': '1'} if demanded else {})})}"


def enter(request: HttpRequest, account: Account, method: str, onward: str, **how: Any) -> HttpResponse:
    """Start the session and go on; first to the second factor, if the customer has one and `method` was not that."""
    how["account"] = account.pk  # whose credential it was: of linked accounts each has its own
    auth_hash = account.get_session_auth_hash()
    account = account_of(account)
    if method != "mfa" and is_enrolled(account):
        request.session[LOGIN_WAITING] = asdict(Waiting(account.pk, method, onward, how, auth_hash=auth_hash))
        return HttpResponseRedirect(SECOND_FACTOR)
    return start_session(request, account, [(method, how)], onward)


def enter_with_proof(
    request: HttpRequest, account: Account, method: str, onward: str, ended: Sequence[EarlierAccess], **how: Any
) -> HttpResponse:
    """Enter with what has also proved the account's address; what that ended is shown on the way."""
    if not ended:
        return enter(request, account, method, onward, **how)
    response = enter(request, account, method, f"/address-proved?{urlencode({'next': onward})}", **how)
    request.session[ENDED] = list(ended)
    return response


@require_safe
@page
def address_proved(request: HttpRequest) -> HttpResponse:
    """`/address-proved?next=`: what the first proof of the address ended, once."""
    goes_to = local_path(request.GET.get("next", ""))
    ended = [_(NAMES[EarlierAccess(each)]) for each in request.session.pop(ENDED, ())]
    if not ended:
        return HttpResponseRedirect(goes_to)
    return render(request, "login/address_proved.html", {"ended": ended, "goes_to": goes_to})


def start_session(
    request: HttpRequest, account: Account, proofs: list[tuple[str, dict[str, Any]]], onward: str
) -> HttpResponse:
    """Start the session. Tokens take auth_time and amr from what allauth records of it (method, time)."""
    if request.user.is_authenticated and request.user.pk != account.pk:
        get_adapter().logout(request)  # another person's session: nothing of it carries over
    request.session.pop(LOGIN_WAITING, None)
    clear_authentication_records(request)
    for method, how in proofs:
        record_authentication(request, account, method, **how)
    response: HttpResponse = perform_login(request, account, email_verification="none", redirect_url=onward)
    remember_browser(request, response, account.email, *(str(how.get("email", "")) for _method, how in proofs))
    return response
