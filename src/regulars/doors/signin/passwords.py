"""Customers with a password: who they are, and whether it is theirs. An unknown address costs what a known one does."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from django.db.models import Q

from regulars.profiles.find import accounts_of_address
from regulars.profiles.models import Account

CONNECTION = "Username-Password-Authentication"


def check(email: str, password: str) -> Account | None:
    """The customer with these credentials, or None; a password is hashed either way."""
    candidates = accounts_of_address(email)[:3]
    found = [account for account in candidates if account.check_password(password)]
    if not candidates:
        make_password(password)
    return next((account for account in found if account.is_active), None)


def is_taken(email: str) -> bool:
    """Whether somebody signs in with this address already, or has proved that it is hers."""
    proved = EmailAddress.objects.filter(email__iexact=email, verified=True).values("user")
    return Account.objects.filter(Q(email__iexact=email) | Q(pk__in=proved), is_staff=False).exists()
