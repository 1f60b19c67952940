"""Which address of an account was proved, and what ends when that happens for the first time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from allauth.account.models import EmailAddress
from django.db.models import Q
from django.utils.translation import gettext_noop

from ..models import Account


class EarlierAccess(StrEnum):
    """What could open an account before its address was proved."""

    PASSWORD = "password"  # noqa: S105 - a kind, no password
    AUTHENTICATOR_APP = "authenticator_app"
    PASSKEYS = "passkeys"
    LOGIN_METHODS = "login_methods"
    APP_ACCESS = "app_access"
    SESSIONS = "sessions"


# As the customer reads it, in a list.
NAMES: dict[EarlierAccess, str] = {
    EarlierAccess.PASSWORD: gettext_noop("the password"),
    EarlierAccess.AUTHENTICATOR_APP: gettext_noop("the authenticator app and its recovery codes"),
    EarlierAccess.PASSKEYS: gettext_noop("passkeys"),
    EarlierAccess.LOGIN_METHODS: gettext_noop("linked login methods"),
    EarlierAccess.APP_ACCESS: gettext_noop("what apps were allowed"),
    EarlierAccess.SESSIONS: gettext_noop("signed-in devices"),
}


@dataclass(frozen=True)
class Shown:
    """What the one who proves an address has shown in the same session. It is theirs, and stays.

    `customer` is the id of the profile that the session is signed in as. `passwords` are ids of accounts, `factors` of
    authenticators, `identities` of identities. Nothing was shown when all are empty.
    """

    customer: int | None = None
    session_key: str = ""
    passwords: frozenset[int] = frozenset()
    factors: frozenset[int] = frozenset()
    identities: frozenset[int] = frozenset()


NOTHING_SHOWN = Shown()


def is_proved(account: Account) -> bool:
    """Return whether the account's present address was proved to be its customer's."""
    return bool(proved_among([account]))


def proved_among(accounts: Sequence[Account]) -> set[int]:
    """Return the ids of those accounts whose present address was proved, in one query at most."""
    present = {each.pk: each.email.lower() for each in accounts if each.email}
    if not present:
        return set()
    rows = EmailAddress.objects.filter(user__in=present, email__in=set(present.values()), verified=True)
    return {number for number, email in rows.values_list("user_id", "email") if present[number] == email}


def record_address(account: Account, *, proved: bool) -> None:
    """Record the account's address, the only one it has, and whether it is proved. The newest proof of an address counts."""
    email = account.email.lower()
    if proved:
        EmailAddress.objects.filter(email=email, verified=True).exclude(user=account).delete()
    EmailAddress.objects.filter(Q(primary=True) | Q(email=email), user=account).delete()
    EmailAddress.objects.create(user=account, email=email, primary=True, verified=proved)
