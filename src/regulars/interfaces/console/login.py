"""Staff sign in by e-mail and password; guessing is slowed down per address and per machine."""

from __future__ import annotations

import datetime as dt

from django.contrib.auth.hashers import make_password
from django.http import HttpRequest

from regulars.accounts.models import Account
from regulars.base import clock
from regulars.base.crypto import fingerprint
from regulars.base.errors import Invalid

from . import audit
from .models import AuditEntry

WINDOW = dt.timedelta(minutes=15)
FAILURES_PER_EMAIL = 5
FAILURES_PER_MACHINE = 30


def check(request: HttpRequest, email: str, password: str) -> Account:
    """The member of staff with these credentials.

    Raises `Invalid("too_many_attempts")` or `Invalid("wrong_credentials")`: one sentence for a wrong password and an unknown
    address, so that nobody learns who works here.
    """
    refuse_guessing(request, email)
    account = _staff(email, password)
    if account is None:
        note_failure(request, email)
        raise Invalid("wrong_credentials", "E-mail or password is not right.")
    return account


def note_failure(request: HttpRequest, email: str) -> None:
    audit.note(request, "login.failed", _subject(email), machine=_machine(request))


def refuse_guessing(request: HttpRequest, email: str) -> None:
    """`Invalid("too_many_attempts")` after too many failures for this address or from this machine, whatever the step."""
    failures = AuditEntry.objects.filter(what="login.failed", at__gte=clock.now() - WINDOW)
    by_email = failures.filter(subject=_subject(email)).count()
    by_machine = failures.filter(details__machine=_machine(request)).count()
    if by_email >= FAILURES_PER_EMAIL or by_machine >= FAILURES_PER_MACHINE:
        raise Invalid("too_many_attempts", "Too many attempts. Wait 15 minutes, then try again.")


def _staff(email: str, password: str) -> Account | None:
    candidates = Account.objects.filter(email__iexact=email.strip(), is_staff=True, is_active=True)
    found = [account for account in candidates if account.check_password(password)]
    if not candidates:
        make_password(password)  # an unknown address takes as long as a known one
    return found[0] if found else None


def _subject(email: str) -> str:
    """Addresses of strangers are not kept in words."""
    return fingerprint(email.strip().lower())


def _machine(request: HttpRequest) -> str:
    return fingerprint(str(request.META.get("REMOTE_ADDR", "")))
