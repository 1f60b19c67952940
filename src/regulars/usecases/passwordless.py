"""Passwordless login: mail a code, and find or create the account of an address that a code or a link in a mail has proved."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.hashers import make_password
from django.db import transaction

from regulars.accounts.models import Account
from regulars.accounts.proofs import mailed_codes
from regulars.accounts.proofs.addresses import NOTHING_SHOWN, EarlierAccess, Shown
from regulars.accounts.proofs.models import EmailCode
from regulars.accounts.rate_limits import Attempt, counting
from regulars.base.errors import Conflict, Invalid
from regulars.clients.models import Client
from regulars.connections.models import Connection
from regulars.profiles.find import accounts_of_address
from regulars.profiles.sign_in import account_block

from .account_mails import mail_code
from .complete_social_login import sign_up, verify_email


@dataclass(frozen=True)
class PasswordlessLogin:
    """The account of an address that was proved, and what this ended because it was the first proof."""

    account: Account
    ended: tuple[EarlierAccess, ...] = ()


def mail_new_code(
    attempt: Attempt, template: str, *, client: Client | None = None, browser: str = "", onward: str = ""
) -> EmailCode:
    """Count the attempt, store a code for its address and queue the mail, all or nothing. Arguments as of `mailed_codes.expect`.

    Raises `TooManyAttempts`.
    """
    with counting(attempt):
        expected = mailed_codes.expect(attempt, client=client, browser=browser, onward=onward)
        mail_code(expected, template)
    mailed_codes.end_surplus(expected.email)
    return expected


@transaction.atomic
def passwordless_login(email: str, connection: str, shown: Shown = NOTHING_SHOWN) -> PasswordlessLogin:
    """Return the account of this address, created at the first login. Raises `Invalid("account_blocked")`.

    `shown` is what the customer has shown in this session; the first proof of the address ends everything else.
    Two arrivals at once meet at the connection's row, so that one address never makes two accounts.
    """
    list(Connection.objects.select_for_update().filter(name=connection))
    account = next(iter(accounts_of_address(email)), None)
    if account is None:
        try:
            return PasswordlessLogin(sign_up(email, make_password(None), connection))
        except Conflict:  # made meanwhile: by an application, or by a sign-up with a password
            account = next(iter(accounts_of_address(email)), None)
            if account is None:
                raise
    if account_block(account):
        raise Invalid("account_blocked", "This account is closed. Ask the shop if you think that is wrong.")
    return PasswordlessLogin(account, verify_email(account, shown))
