"""Staff of the console, managed by operators on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q

from regulars.accounts.factors import authenticator_codes
from regulars.accounts.models import Account
from regulars.base.crypto import random_secret
from regulars.base.email_address import canonical_email
from regulars.base.errors import Conflict, Invalid, NotFound
from regulars.interfaces.console.models import AuditEntry
from regulars.interfaces.console.pages import ROLES
from regulars.usecases.sign_out import end_sessions

ADMIN = "admin"


@dataclass(frozen=True)
class StaffMember:
    """One line of `regulars staff list`."""

    email: str
    role: str
    second_factor: bool
    is_active: bool


def list_members() -> Iterator[StaffMember]:
    for account in Account.objects.filter(is_staff=True).order_by("email"):
        yield StaffMember(account.email, account.role, authenticator_codes.is_enrolled(account), account.is_active)


def audit_entries(limit: int, what: str = "") -> Iterator[dict[str, Any]]:
    """Yield what staff did, the newest first: `{"at", "who", "what", "subject", "details"}`. `who` is empty once deleted.

    `what` is an action (`segment.exported`) or the first word of several (`segment`).
    """
    found = AuditEntry.objects.select_related("account").order_by("-at", "-id")
    if what:
        found = found.filter(Q(what=what) | Q(what__startswith=f"{what}."))
    for each in found[:limit]:
        who = each.account.email if each.account else ""
        at = each.at.isoformat(timespec="seconds")
        yield {"at": at, "who": who, "what": each.what, "subject": each.subject, "details": each.details}


@transaction.atomic
def add(email: str, role: str) -> str:
    """Add a member of staff and return the first password.

    Raises `Invalid`: `bad_email`, `unknown_role`, `already_staff`.
    """
    email = canonical_email(email).lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Invalid("bad_email", f"{email!r} is not an e-mail address.") from None
    if role not in ROLES:
        raise Invalid("unknown_role", f"A role is one of {', '.join(ROLES)}.")
    if _find(email):
        raise Invalid("already_staff", f"{email} is a member of staff already.")
    password = random_secret(16)
    Account.objects.create_staff(email, password, role)
    return password


@transaction.atomic
def change_role(email: str, role: str) -> None:
    """Give a member of staff another role; it holds from their next request. Raises `Invalid`, `NotFound`, `Conflict`."""
    if role not in ROLES:
        raise Invalid("unknown_role", f"A role is one of {', '.join(ROLES)}.")
    account = _member(email)
    if role != ADMIN:
        _refuse_last_admin(account)
    account.role = role
    account.save(update_fields=["role"])


@transaction.atomic
def remove(email: str) -> None:
    """Delete a member of staff with their sessions and factors. What they did stays in the audit log, without a name.

    Raises `NotFound("not_staff")` and `Conflict("last_admin")`.
    """
    account = _member(email)
    _refuse_last_admin(account)
    end_sessions(account)
    account.delete()


def _member(email: str) -> Account:
    account = _find(email)
    if account is None:
        raise NotFound("not_staff", f"No member of staff has the address {email}. `regulars staff list` lists them.")
    return account


def _refuse_last_admin(account: Account) -> None:
    """Keep an admin who may sign in: without one no one can change the console's settings."""
    others = (
        Account.objects.select_for_update().filter(is_staff=True, is_active=True, role=ADMIN).exclude(pk=account.pk)
    )
    if account.role == ADMIN and not list(others.values_list("pk", flat=True)):
        raise Conflict("last_admin", f"{account.email} is the only admin. Add another admin first.")


def reset_second_factor(email: str) -> int:
    """Remove all factors of a member of staff, who sets up a new one at the next sign-in. Returns their number."""
    return authenticator_codes.remove_all(_member(email))


def _find(email: str) -> Account | None:
    return Account.objects.filter(email__iexact=canonical_email(email), is_staff=True).first()
