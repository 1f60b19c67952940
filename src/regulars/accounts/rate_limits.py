"""Limits on attempts per e-mail address, per IP address and per pair, across every process: the counts are rows."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore
from time import monotonic, sleep

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from regulars.base.client_network import client_network
from regulars.base.crypto import fingerprint
from regulars.base.db.portions import delete_in_portions
from regulars.base.email_address import canonical_email
from regulars.base.errors import Invalid
from regulars.base.jobs.schedule import periodic_task

from .models import AttemptCount

# One statement for all windows, so that two processes never both see the last free place. SQLite and PostgreSQL read it
# alike, and lock the rows in the order they are written: always that of the keys, so no two transactions wait for each
# other.
WRITE = """
    INSERT INTO accounts_attemptcount (key, count, under_way, expires_at) VALUES {rows}
    ON CONFLICT (key) DO UPDATE SET {changed} RETURNING key, count, under_way
"""
ONE_MORE = "{column} = accounts_attemptcount.{column} + 1"
ONE_LESS = "{column} = CASE WHEN accounts_attemptcount.{column} > 0 THEN accounts_attemptcount.{column} - 1 ELSE 0 END"
LONGEST_WAIT, PAUSE = 2.0, 0.1  # seconds that an attempt waits for others of its IP address, and between two looks
# A waiting attempt holds a thread of this process, and others need theirs.
WAITING = BoundedSemaphore(4)


class TooManyAttempts(Invalid):
    """A limit is reached; the code is `too_many_attempts`."""


@dataclass(frozen=True)
class Limit:
    """At most `most` attempts in `seconds`, in windows that start by the clock, and `at_once` under way (0: no bound)."""

    most: int
    seconds: int
    at_once: int = 0


@dataclass(frozen=True)
class Attempt:
    """One attempt at `action` by a client. `subject` is an e-mail address, or another name of an account.

    `browser` is the id of a browser that the customer of this address signed in with before (`devices`); else empty.
    """

    action: str
    subject: str
    ip: str
    browser: str = ""

    @property
    def network(self) -> str:
        """Return what is counted of the IP address."""
        return client_network(self.ip)


MINUTE, HOUR = 60, 3600
# "pair" is one e-mail address from one IP address: attempts by others do not lock the customer out. "email" still ends
# attempts that come from many IP addresses. A browser known to the customer has a "pair" of its own and no other limit,
# so that attempts from elsewhere, even behind the same IP address, never close it.
LIMITS = {
    "login": {"pair": Limit(10, 15 * MINUTE), "email": Limit(100, HOUR), "ip": Limit(60, 5 * MINUTE, at_once=20)},
    "console": {"pair": Limit(5, 15 * MINUTE), "email": Limit(50, HOUR), "ip": Limit(30, 15 * MINUTE, at_once=20)},
    # Mails: what is counted is the sending.
    "signup": {"pair": Limit(5, HOUR), "email": Limit(30, HOUR), "ip": Limit(30, HOUR)},
    "reset": {"pair": Limit(5, HOUR), "email": Limit(30, HOUR), "ip": Limit(30, HOUR)},
    "code": {
        "pair": Limit(5, HOUR),
        "email": Limit(30, HOUR),
        "ip": Limit(50, HOUR),
    },  # Auth0's number for an IP address
    # Six digits. Of a million codes up to three are right at any time, mailed ones and those of an authenticator app.
    "guess": {"pair": Limit(5, 15 * MINUTE), "email": Limit(20, HOUR), "ip": Limit(60, 5 * MINUTE, at_once=20)},
    "second": {"pair": Limit(5, 15 * MINUTE), "email": Limit(20, HOUR)},
    "device": {"pair": Limit(10, 10 * MINUTE), "email": Limit(30, HOUR)},
    # Links by which a customer says no: one link, and addresses that are none. Mail services press links of many customers.
    "refuse": {"email": Limit(20, HOUR)},
    "refuse_guess": {"ip": Limit(60, HOUR)},
    "passkey": {"ip": Limit(60, 5 * MINUTE, at_once=20)},
}


def count_attempt(attempt: Attempt) -> None:
    """Count one attempt for good; `TooManyAttempts` when a limit is reached. Commits by itself, outside a transaction."""
    windows = _windows(attempt)
    if refused := _take(windows, under_way=False):
        raise _too_many(refused)


@contextmanager
def counting(attempt: Attempt) -> Iterator[None]:
    """Count one attempt in one transaction with what the block writes; `TooManyAttempts` when a limit is reached.

    So a mail is counted if and only if it is queued, also when this process is killed.
    """
    with transaction.atomic():
        count_attempt(attempt)
        yield


def refuse_exhausted(attempt: Attempt) -> None:
    """Raise `TooManyAttempts` when a limit is reached, without counting: before what costs more than to look."""
    windows = {each.key: each for each in _windows(attempt)}
    counts = AttemptCount.objects.filter(key__in=windows).values_list("key", "count")
    if refused := [_Refused(windows[key], may_pass=False) for key, count in counts if count >= windows[key].limit.most]:
        raise _too_many(refused)


class PendingAttempt:
    """The place of an attempt under way. Closed without success, it counts as a failure."""

    def __init__(self, attempt: Attempt, windows: list[_Window]) -> None:
        self.attempt = attempt
        self._windows = windows
        self._is_open = True

    def succeed(self) -> None:
        """Give the place back: only failures count, or a busy office would lock itself out.

        Others of this IP address wait for its row until the transaction commits: let it be the last statement.
        """
        if self._is_open:
            self._is_open = False
            _write(self._windows, [ONE_LESS.format(column="count"), ONE_LESS.format(column="under_way")], first=0)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            _write(self._windows, [ONE_LESS.format(column="under_way")], first=0)


@contextmanager
def attempting(attempt: Attempt) -> Iterator[PendingAttempt]:
    """Take a place before what costs or could be guessed; `TooManyAttempts` when a limit is reached.

    Attempts under way hold their places, so parallel guesses never pass a limit. Those of one IP address may be of many
    customers behind one carrier, most of them right: where only they fill a limit, the attempt waits for a moment.
    """
    windows = _windows(attempt)
    refused = _take(windows, under_way=True)
    if refused and all(each.may_pass for each in refused) and WAITING.acquire(blocking=False):
        try:
            give_up = monotonic() + LONGEST_WAIT
            while refused and all(each.may_pass for each in refused) and monotonic() < give_up:
                sleep(PAUSE)
                refused = _take(windows, under_way=True)
        finally:
            WAITING.release()
    if refused:
        raise _too_many(refused)
    place = PendingAttempt(attempt, windows)
    try:
        yield place
    finally:
        place.close()


@periodic_task(10 * MINUTE, "accounts.delete_old_attempts")
def delete_old_attempts() -> None:
    delete_in_portions(AttemptCount.objects.filter(expires_at__lt=timezone.now()), "expires_at")


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


@dataclass(frozen=True)
class _Refused:
    """A window without a free place. `may_pass`: attempts under way fill it, and may give their places back."""

    window: _Window
    may_pass: bool

    @property
    def minutes_left(self) -> int:
        return 1 if self.may_pass else max(1, round((self.window.ends - timezone.now()).total_seconds() / MINUTE))


def _windows(attempt: Attempt) -> list[_Window]:
    email = canonical_email(attempt.subject).lower()
    limits = LIMITS[attempt.action]
    subjects = {"pair": f"{email} {attempt.network}", "email": email, "ip": attempt.network}
    if attempt.browser:
        limits, subjects = {"pair": limits["pair"]}, {"pair": f"{email} browser {attempt.browser}"}
    return [
        _Window(f"{attempt.action}:{name}:{subjects[name]}", limit, int(time.time()) // limit.seconds)
        for name, limit in limits.items()
    ]


def _take(windows: list[_Window], *, under_way: bool) -> list[_Refused]:
    """Take a place in every window, or in none and return those that are full."""
    changed = [ONE_MORE.format(column=name) for name in ("count", "under_way")[: 1 + under_way]]
    with transaction.atomic():
        counts = _write(windows, changed, first=1, under_way=int(under_way))
        refused = []
        for window in windows:
            count, active = counts[window.key]
            most, at_once = window.limit.most, window.limit.at_once
            if count > most or (at_once and active > at_once):
                refused.append(_Refused(window, may_pass=bool(at_once) and count - active < most))
        transaction.set_rollback(bool(refused))
    return refused


def _write(
    windows: list[_Window], changed: list[str], *, first: int, under_way: int = 0
) -> Mapping[str, tuple[int, int]]:
    """Key → count and how many of it are under way. A row that was not there begins at `first`."""
    rows = sorted((window.key, first, under_way, window.ends) for window in windows)
    statement = WRITE.format(rows=", ".join(["(%s, %s, %s, %s)"] * len(rows)), changed=", ".join(changed))
    with connection.cursor() as cursor:
        cursor.execute(statement, [value for row in rows for value in row])
        return {key: (count, active) for key, count, active in cursor.fetchall()}


def _too_many(refused: list[_Refused]) -> TooManyAttempts:
    minutes = max(each.minutes_left for each in refused)
    return TooManyAttempts(
        "too_many_attempts", _("Too many attempts. Try again in {minutes} min.").format(minutes=minutes)
    )
