"""Codes and links by mail: six digits, ten minutes, three wrong tries, once.

Wrong guesses at all codes of an address are counted together by `rate_limits` ("guess"): more codes give no more guesses.
"""

from __future__ import annotations

import datetime as dt

from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from regulars.base.crypto import fingerprint
from regulars.base.email_address import canonical_email
from regulars.clients.models import Client
from regulars.connections.models import Connection

from ..rate_limits import Attempt
from .models import EmailCode

CONNECTION = STRATEGY = "email"  # Auth0's name of this login method
LIVES = dt.timedelta(minutes=10)
MOST_WRONG = 3
MOST_ALIVE = 3  # codes of one address that are good at the same time, of all apps and of our own page
DIGITS = 6


def is_open() -> bool:
    """Whether the business offers codes by mail."""
    return Connection.objects.filter(strategy=STRATEGY, enabled=True).exists()


def expect(attempt: Attempt, *, client: Client | None = None, browser: str = "", onward: str = "") -> EmailCode:
    """Store a code for the address of `attempt`. `browser` is the secret of the browser that asked.

    It replaces the code that the same IP address or known browser asked for before, and no other: an attacker who asks for
    codes ends none that the customer waits for. The caller commits, and then calls `end_surplus`.
    """
    EmailCode.objects.filter(expires_at__lt=timezone.now()).delete()
    email, asker = _address(attempt.subject), _asker(attempt)
    EmailCode.objects.filter(email=email, client=client, asker=asker, used_at=None).update(expires_at=timezone.now())
    return EmailCode.objects.create(
        email=email,
        client=client,
        browser=fingerprint(browser) if browser else "",
        asker=asker,
        asker_is_known=bool(attempt.browser),
        onward=onward,
        expires_at=timezone.now() + LIVES,
    )


def end_surplus(email: str) -> None:
    """Let at most `MOST_ALIVE` codes of an address be good at once; those of known browsers stay the longest.

    After the newest was committed, so that of several at once the last one sees all of them.
    """
    alive = _unused().filter(email=email).order_by("-asker_is_known", "-pk").values_list("pk", flat=True)
    EmailCode.objects.filter(pk__in=list(alive[MOST_ALIVE:])).update(expires_at=timezone.now())


def write(expected: EmailCode) -> tuple[str, str]:
    """The digits and the secret of the link, known from here on to the mail alone.

    Both are made of the row with the server's key, so a mail that is sent again after a kill is the same mail.
    """
    row = f"{expected.pk}:{expected.expires_at.timestamp()}"
    number = int(salted_hmac("regulars.proofs.digits", row, algorithm="sha256").hexdigest(), 16)
    digits = f"{number % 10**DIGITS:0{DIGITS}}"
    secret = salted_hmac("regulars.proofs.link", row, algorithm="sha256").hexdigest()
    hashes = {"code_hash": _hash(expected.pk, digits), "link_hash": fingerprint(secret)}
    EmailCode.objects.filter(pk=expected.pk).update(**hashes)
    return digits, secret


def find(pk: int, browser: str) -> EmailCode | None:
    """The code that this browser waits for."""
    return _living().filter(pk=pk, browser=fingerprint(browser)).first() if browser else None


def address_of(pk: int, browser: str) -> str:
    """Return the address to which this browser had the code sent, also when the code works no more; empty for another one."""
    row = EmailCode.objects.filter(pk=pk, browser=fingerprint(browser)).first() if browser else None
    return row.email if row else ""


def find_by_link(secret: str) -> EmailCode | None:
    return _living().filter(link_hash=fingerprint(secret)).first() if secret else None


def find_for_app(attempt: Attempt, client: Client, digits: str) -> EmailCode | None:
    """Return the code of the app that these digits are. The caller counts the guess, which may be at several codes.

    A wrong guess counts against the code that the guesser asked for, and not against those that wait for others.
    """
    waiting = _living().filter(email=_address(attempt.subject), client=client).order_by("-pk")
    own, asker = [], _asker(attempt)
    for code in waiting[:MOST_ALIVE]:
        if code.asker == asker:
            own.append(code)
        elif constant_time_compare(code.code_hash, _hash(code.pk, digits.strip())):
            return code
    return next((code for code in own if is_right(code, digits)), None)


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


def _unused() -> QuerySet[EmailCode]:
    return EmailCode.objects.filter(used_at=None, expires_at__gt=timezone.now(), wrong_tries__lt=MOST_WRONG)


def _living() -> QuerySet[EmailCode]:
    """Return the codes that are mailed and good."""
    return _unused().exclude(code_hash="")


def _address(email: str) -> str:
    return canonical_email(email).lower()


def _asker(attempt: Attempt) -> str:
    """Hash with a key: without one, a reader of the table could try all IP addresses."""
    asker = f"browser {attempt.browser}" if attempt.browser else f"ip {attempt.network}"
    return salted_hmac("regulars.proofs.asker", asker, algorithm="sha256").hexdigest()


def _hash(pk: int, digits: str) -> str:
    """Hash with a key: without one, a reader of the table could try all six digits."""
    return salted_hmac("regulars.proofs.code", f"{pk}:{digits}", algorithm="sha256").hexdigest()
