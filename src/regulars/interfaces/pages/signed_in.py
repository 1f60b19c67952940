"""The customer who is signed in on a browser, and whether they are freshly authenticated."""

from __future__ import annotations

import time
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import get_authentication_records
from django.http import HttpRequest

from regulars.accounts.factors.authenticator_codes import is_enrolled
from regulars.accounts.models import Account
from regulars.accounts.proofs import FRESH
from regulars.accounts.proofs.addresses import NOTHING_SHOWN, Shown
from regulars.profiles.find import find_by_account, login_identities
from regulars.profiles.models import Profile
from regulars.profiles.sign_in import sign_in_block


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
    """Return whether the customer authenticated in the last minutes, with the second factor if they have one.

    Every change of an account, export and erasure ask for that. A fresh login serves every customer: a password, a
    passkey, or the provider asked again (`prompt=login`).
    """
    account = request.user
    if not isinstance(account, Account):
        return False
    proofs = proofs_of(request, account)
    latest = max((float(proof["at"]) for proof in proofs), default=0.0)
    has_both = not is_enrolled(account) or any(proof["method"] == "mfa" for proof in proofs)
    return time.time() - latest < FRESH and has_both


def proofs_of(request: HttpRequest, account: Account) -> list[dict[str, Any]]:
    """The authentication records of this session, oldest first: `{"method", "at", …}`."""
    return list(get_authentication_records(request, account))


def shown_here(request: HttpRequest) -> Shown:
    """Return what the signed-in customer has shown in this session: the password, factors and identities they used or added."""
    profile = customer(request)
    if profile is None or profile.account is None:
        return NOTHING_SHOWN
    records = proofs_of(request, profile.account)
    used = {(str(each.get("provider")), str(each.get("uid"))) for each in records if each["method"] == "socialaccount"}
    return Shown(
        customer=profile.pk,
        session_key=request.session.session_key or "",
        passwords=frozenset(each["account"] for each in records if each["method"] == "password" and "account" in each),
        factors=frozenset(each["id"] for each in records if each["method"] == "mfa" and "id" in each),
        identities=frozenset(
            each.pk
            for each in login_identities(profile)
            # A connection with ids of its own puts its name before the provider's.
            if (each.provider, each.provider_user_id.removeprefix(f"{each.connection}|")) in used
        ),
    )


def client_ip(request: HttpRequest) -> str:
    """The browser's address as far as the proxy in front may be trusted."""
    return str(get_adapter().get_client_ip(request))
