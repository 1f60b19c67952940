"""Who works in the console, managed by whoever may run commands on the server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from regulars.accounts.factors import codes
from regulars.accounts.models import Account
from regulars.base.crypto import random_secret
from regulars.base.errors import Invalid
from regulars.interfaces.console.door import ROLES


@dataclass(frozen=True)
class Member:
    """One line of the list."""

    email: str
    role: str
    second_factor: bool
    is_active: bool


def members() -> Iterator[Member]:
    for account in Account.objects.filter(is_staff=True).order_by("email"):
        yield Member(account.email, account.role, codes.is_enrolled(account), account.is_active)


@transaction.atomic
def add(email: str, role: str) -> str:
    """A new member of staff; returns her first password. Raises `DomainError`: `bad_email`, `unknown_role`, `already_staff`."""
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Invalid("bad_email", f"{email!r} is not an e-mail address.") from None
    if role not in ROLES:
        raise Invalid("unknown_role", f"A role is one of {', '.join(ROLES)}.")
    if _find(email):
        raise Invalid("already_staff", f"{email} works here already.")
    password = random_secret(16)
    Account.objects.create_staff(email, password, role)
    return password


def reset_second_factor(email: str) -> int:
    """Take all factors away: she sets one up anew at her next sign-in. Returns how many there were."""
    account = _find(email)
    if account is None:
        raise Invalid("not_staff", f"Nobody called {email} works here. `regulars staff list` says who does.")
    return codes.remove_all(account)


def _find(email: str) -> Account | None:
    return Account.objects.filter(email__iexact=email.strip(), is_staff=True).first()
