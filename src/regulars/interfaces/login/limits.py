"""Guessing is slowed down per address, per machine and per pair, across every process: the counts are rows."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass

from allauth.account.adapter import get_adapter
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from regulars.base.crypto import fingerprint
from regulars.base.errors import Invalid
from regulars.base.jobs.schedule import periodic_task

from .models import Attempts

# One statement and one commit for all windows, so that two processes never both see the last free place. SQLite and
# PostgreSQL read it alike, and take the rows in the order they are written: always that of the keys, so nobody waits in a
# circle.
COUNT = """
    INSERT INTO signin_attempts (key, count, expires_at) VALUES {rows}
    ON CONFLICT (key) DO UPDATE SET count = {changed} RETURNING key, count
"""
UP = "signin_attempts.count + 1"
DOWN = "CASE WHEN signin_attempts.count > 0 THEN signin_attempts.count - 1 ELSE 0 END"


@dataclass(frozen=True)
class Limit:
    """At most `most` attempts in `seconds`, in windows that start by the clock."""

    most: int
    seconds: int


MINUTE, HOUR = 60, 3600
# "pair" is one address from one machine, so that a stranger who guesses does not lock the customer herself out at once;
# "email" still ends a guess that comes from many machines.
LIMITS = {
    "login": {"pair": Limit(10, 15 * MINUTE), "email": Limit(100, HOUR), "machine": Limit(60, 5 * MINUTE)},
    "signup": {"email": Limit(5, HOUR), "machine": Limit(30, HOUR)},
    "reset": {"email": Limit(5, HOUR), "machine": Limit(30, HOUR)},
    # Six digits: of a million codes three are right at any time.
    "second": {"pair": Limit(5, 15 * MINUTE), "email": Limit(20, HOUR)},
    "passkey": {"machine": Limit(60, 5 * MINUTE)},
    "password": {"email": Limit(10, 15 * MINUTE)},
    "code": {"email": Limit(5, HOUR), "machine": Limit(50, HOUR)},  # Auth0's number for a machine
}


def count_attempt(request: HttpRequest, action: str, email: str) -> None:
    """Count one attempt; `Invalid("too_many_attempts")` when a limit is passed. Commits by itself."""
    windows = _windows(request, action, email)
    counts = _count(windows, UP, first=1)
    passed = [window for window in windows if counts[window.key] > window.limit.most]
    if passed:
        minutes = max(window.minutes_left for window in passed)
        raise Invalid("too_many_attempts", _("Too many attempts. Try again in {minutes} min.").format(minutes=minutes))


def give_back(request: HttpRequest, action: str, email: str) -> None:
    """The attempt was good: only failures count, or a busy office would lock itself out."""
    _count(_windows(request, action, email), DOWN, first=0)


def machine_of(request: HttpRequest) -> str:
    """The browser's address as far as the proxy in front may be trusted."""
    return str(get_adapter().get_client_ip(request))


@periodic_task(10 * MINUTE, "signin.forget_attempts")
def forget_old_attempts() -> None:
    Attempts.objects.filter(expires_at__lt=timezone.now()).delete()


@dataclass(frozen=True)
class _Window:
    """One subject's present window of one limit."""

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


def _windows(request: HttpRequest, action: str, email: str) -> list[_Window]:
    email, machine = email.strip().lower(), machine_of(request)
    subjects = {"pair": f"{email} {machine}", "email": email, "machine": machine}
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
