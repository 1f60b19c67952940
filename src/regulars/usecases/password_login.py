"""Sign in and sign up with an e-mail address and a password."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from regulars.accounts import passwords
from regulars.accounts.hashes import hash_password
from regulars.accounts.models import Account, PendingSignup
from regulars.accounts.proofs.addresses import EarlierAccess, Shown
from regulars.accounts.rate_limits import Attempt, counting, refuse_exhausted
from regulars.base.errors import Conflict
from regulars.connections.login_methods import PASSWORD_CONNECTION
from regulars.connections.models import Connection
from regulars.profiles.find import accounts_of_address, is_email_taken
from regulars.profiles.sign_in import account_block

from .account_mails import mail_signup_link, notify
from .complete_social_login import SubmittedValues, sign_up, verify_email
from .sign_out import end_sessions
from .users import account_of

LONGEST_EMAIL = 254
SIGNUP_LIVES = dt.timedelta(days=1)


def find_by_password(email: str, password: str) -> Account | None:
    """Return the customer with these credentials, or None. An unknown address costs what a known one does."""
    found = passwords.accounts_with_password(accounts_of_address(email)[:3], password)
    return next((account for account in found if not account_block(account)), None)


def is_email_address(email: str) -> bool:
    try:
        validate_email(email if len(email) <= LONGEST_EMAIL else "")
    except ValidationError:
        return False
    return True


def signup_problems(email: str, password: str) -> dict[str, str]:
    """Return what is wrong with each field: message ids by `email` and `password`."""
    problems = {}
    if not is_email_address(email):
        problems["email"] = gettext_noop("Write an e-mail address, like name@example.com.")
    if wrong := passwords.problems_with(password, Account(email=email), PASSWORD_CONNECTION):
        problems["password"] = " ".join(wrong)
    return problems


def begin_signup(
    attempt: Attempt, email: str, password: str, onward: str, answers: dict[str, Any] | None = None
) -> PendingSignup:
    """Save a sign-up that the link in the mail finishes. `answers` is `{"source", "values"}`: what an app's form asked.

    Raises `TooManyAttempts`.
    """
    refuse_exhausted(attempt)
    hashed = hash_password(password)  # outside the transaction: on SQLite every other writer would wait for it
    with counting(attempt):
        PendingSignup.objects.filter(expires_at__lt=timezone.now()).delete()
        pending = PendingSignup.objects.create(
            email=email,
            password=hashed,
            onward=onward,
            answers=answers or {},
            expires_at=timezone.now() + SIGNUP_LIVES,
        )
        mail_signup_link(pending)
    return pending


@transaction.atomic
def finish_signup(pending: PendingSignup) -> Account | None:
    """Make the account, once: two clicks, or two sign-ups with one address, meet at the connection's row."""
    list(Connection.objects.select_for_update().filter(name=PASSWORD_CONNECTION))
    if not PendingSignup.objects.filter(pk=pending.pk).exists() or is_email_taken(pending.email):
        return None
    PendingSignup.objects.filter(email=pending.email).delete()
    submitted = SubmittedValues(**pending.answers) if pending.answers else None
    try:
        return sign_up(pending.email, pending.password, PASSWORD_CONNECTION, submitted)
    except Conflict:  # an application made an account with this address meanwhile
        return None


@transaction.atomic
def reset_password(account: Account, password: str, shown: Shown) -> tuple[EarlierAccess, ...]:
    """Set the password of a customer who opened the link in their mail. Returns what the first proof of the address ended.

    Every session, all offline access and every other link end.
    """
    ended = verify_email(account, shown)
    passwords.set_password(account, password, PASSWORD_CONNECTION)
    for each in {account, account_of(account)}:
        end_sessions(each)
    notify(account, "password_changed")
    return ended
