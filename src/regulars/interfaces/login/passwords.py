"""Customers with a password: who they are, and whether it is theirs. An unknown address costs what a known one does."""

from __future__ import annotations

from django.contrib.auth.hashers import make_password

from regulars.accounts.models import Account
from regulars.profiles.find import accounts_of_address
from regulars.profiles.sign_in import account_block

CONNECTION = "Username-Password-Authentication"


def check(email: str, password: str) -> Account | None:
    """The customer with these credentials, or None; a password is hashed either way."""
    candidates = accounts_of_address(email)[:3]
    found = [account for account in candidates if account.check_password(password)]
    if not candidates:
        make_password(password)
    return next((account for account in found if not account_block(account)), None)
