"""Codes and links by mail: six digits, ten minutes, three wrong tries, once."""

from __future__ import annotations

import datetime as dt
import secrets

from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from regulars.base.crypto import fingerprint, random_secret
from regulars.clients.models import Client
from regulars.connections.models import Connection

from .models import EmailCode

CONNECTION = STRATEGY = "email"  # Auth0's name of this login method
LIVES = dt.timedelta(minutes=10)
MOST_WRONG = 3
DIGITS = 6


def is_open() -> bool:
    """Whether the business offers codes by mail."""
    return Connection.objects.filter(strategy=STRATEGY, enabled=True).exists()


def expect(email: str, *, client: Client | None = None, browser: str = "", onward: str = "") -> EmailCode:
    """Store a code, the only valid one of this address and client. `browser` is the secret of the browser that asked."""
    EmailCode.objects.filter(expires_at__lt=timezone.now()).delete()
    email = email.strip().lower()
    EmailCode.objects.filter(email=email, client=client, used_at=None).update(expires_at=timezone.now())
    return EmailCode.objects.create(
        email=email,
        client=client,
        browser=fingerprint(browser) if browser else "",
        onward=onward,
        expires_at=timezone.now() + LIVES,
    )


def write(expected: EmailCode) -> tuple[str, str]:
    """The digits and the secret of the link, known from here on to the mail alone."""
    digits, secret = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}", random_secret(43)
    hashes = {"code_hash": _hash(expected.pk, digits), "link_hash": fingerprint(secret)}
    EmailCode.objects.filter(pk=expected.pk).update(**hashes)
    return digits, secret


def find(pk: int, browser: str) -> EmailCode | None:
    """The code that this browser waits for."""
    return _living().filter(pk=pk, browser=fingerprint(browser)).first() if browser else None


def find_by_link(secret: str) -> EmailCode | None:
    return _living().filter(link_hash=fingerprint(secret)).first() if secret else None


def find_for_app(email: str, client: Client) -> EmailCode | None:
    return _living().filter(email=email.strip().lower(), client=client).order_by("-pk").first()


def is_of(code: EmailCode, browser: str) -> bool:
    return bool(browser) and constant_time_compare(code.browser, fingerprint(browser))


def is_right(code: EmailCode, digits: str) -> bool:
    """Whether these are the digits. A wrong try is counted first, so that many at once have three tries together."""
    untried = _living().filter(pk=code.pk).update(wrong_tries=F("wrong_tries") + 1)
    if not untried or not constant_time_compare(code.code_hash, _hash(code.pk, digits.strip())):
        return False
    EmailCode.objects.filter(pk=code.pk, wrong_tries__gt=0).update(wrong_tries=F("wrong_tries") - 1)
    return True


def use(code: EmailCode) -> bool:
    """Use it up; of many at once one may."""
    return bool(_living().filter(pk=code.pk).update(used_at=timezone.now()))


def _living() -> QuerySet[EmailCode]:
    now = timezone.now()
    return EmailCode.objects.filter(used_at=None, expires_at__gt=now, wrong_tries__lt=MOST_WRONG).exclude(code_hash="")


def _hash(pk: int, digits: str) -> str:
    """Hash with a key: without one, a reader of the table could try all six digits."""
    return salted_hmac("regulars.proofs.code", f"{pk}:{digits}", algorithm="sha256").hexdigest()
