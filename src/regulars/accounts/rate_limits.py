"""Limits on attempts per e-mail address, per IP address and per pair, across every process: the counts are rows."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from regulars.base.crypto import fingerprint
from regulars.base.errors import Invalid
from regulars.base.jobs.schedule import periodic_task

from .models import AttemptCount

# One statement and one commit for all windows, so that two processes never both see the last free place. SQLite and
# PostgreSQL read it alike, and lock the rows in the order they are written: always that of the keys, so no two
# transactions wait for each other.
COUNT = """
    INSERT INTO accounts_attemptcount (key, count, expires_at) VALUES {rows}
    ON CONFLICT (key) DO UPDATE SET count = {changed} RETURNING key, count
"""
UP = "accounts_attemptcount.count + 1"
DOWN = "CASE WHEN accounts_attemptcount.count > 0 THEN accounts_attemptcount.count - 1 ELSE 0 END"


@dataclass(frozen=True)
class Limit:
    """At most `most` attempts in `seconds`, in windows that start by the clock."""

    most: int
    seconds: int


MINUTE, HOUR = 60, 3600
# "pair" is one e-mail address from one IP address, so that an attacker's guesses do not lock the customer out at once;
# "email" still ends a guess that comes from many IP addresses.
LIMITS = {
    "login": {"pair": Limit(10, 15 * MINUTE), "email": Limit(100, HOUR), "ip": Limit(60, 5 * MINUTE)},
    "signup": {"email": Limit(5, HOUR), "ip": Limit(30, HOUR)},
    "reset": {"email": Limit(5, HOUR), "ip": Limit(30, HOUR)},
    # Six digits: of a million codes three are right at any time.
    "second": {"pair": Limit(5, 15 * MINUTE), "email": Limit(20, HOUR)},
    "passkey": {"ip": Limit(60, 5 * MINUTE)},
    "password": {"email": Limit(10, 15 * MINUTE)},
    "code": {"email": Limit(5, HOUR), "ip": Limit(50, HOUR)},  # Auth0's number for an IP address
}


def count_attempt(ip: str, action: str, email: str) -> None:
    """Count one attempt; `Invalid("too_many_attempts")` when a limit is passed. Commits by itself."""
    windows = _windows(ip, action, email)
    counts = _count(windows, UP, first=1)
    passed = [window for window in windows if counts[window.key] > window.limit.most]
    if passed:
        minutes = max(window.minutes_left for window in passed)
        raise Invalid("too_many_attempts", _("Too many attempts. Try again in {minutes} min.").format(minutes=minutes))


def uncount_attempt(ip: str, action: str, email: str) -> None:
    """Take a successful attempt off the counts: only failures count, or a busy office would lock itself out."""
    _count(_windows(ip, action, email), DOWN, first=0)


@periodic_task(10 * MINUTE, "accounts.delete_old_attempts")
def delete_old_attempts() -> None:
    AttemptCount.objects.filter(expires_at__lt=timezone.now()).delete()


@dataclass(frozen=True)
class _Window:
    """The current window of one limit for one subject."""

    subject: str
    limit: Limit
    number: int

    @property
    def key(self) -> str:
        return fingerprint(f"{self.subject}:{self.number}")

    @property
    def ends(self) -> dt.datetime:
        return dt.datetime.fromtimestamp((self.number + 1) * self.limit.seconds, dt.UTC)

    @property
    def minutes_left(self) -> int:
        return max(1, round((self.ends - timezone.now()).total_seconds() / MINUTE))


def _windows(ip: str, action: str, email: str) -> list[_Window]:
    email = email.strip().lower()
    subjects = {"pair": f"{email} {ip}", "email": email, "ip": ip}
    return [
        _Window(f"{action}:{name}:{subjects[name]}", limit, int(time.time()) // limit.seconds)
        for name, limit in LIMITS[action].items()
    ]


def _count(windows: list[_Window], changed: str, first: int) -> dict[str, int]:
    """Key → count. A row that was not there begins at `first`."""
    rows = sorted((window.key, first, window.ends) for window in windows)
    statement = COUNT.format(rows=", ".join(["(%s, %s, %s)"] * len(rows)), changed=changed)
    with connection.cursor() as cursor:
        cursor.execute(statement, [value for row in rows for value in row])
        return dict(cursor.fetchall())
