"""Sessions end: one of them, or all. What a door keeps beside a session (an app's offline access) ends with it.

A door registers with `hears_of_endings`, as it does for jobs: this floor cannot know the doors.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from regulars.accounts.factors.codes import is_enrolled
from regulars.accounts.models import Account

PROOFS_ARE_OF = "account_authentication_methods_user"  # allauth's: whose records of signing in a session holds
SETTLED = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Ending:
    """`sessions` are keys of Django's sessions. `everything`: whatever she ever let stand ends too, but for `kept`."""

    account: Account
    sessions: tuple[str, ...]
    everything: bool = False
    kept: str = ""


Hearer = Callable[[Ending], None]
HEARERS: list[Hearer] = []


def hears_of_endings(hearer: Hearer) -> Hearer:
    """Called in the transaction that ends the sessions."""
    HEARERS.append(hearer)
    return hearer


def sessions_of(account: Account) -> list[UserSession]:
    """Where she is signed in, the newest first; those that ran out are forgotten on the way."""
    return sorted(UserSession.objects.purge_and_list(account), key=lambda each: each.created_at, reverse=True)


def forget_ended_sessions() -> int:
    """Take away where she was signed in once that session is over; daily, by the worker. Returns how many there were.

    A session of this minute may be listed already and not written down yet.
    """
    now = timezone.now()
    alive = Session.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=now)
    over = UserSession.objects.filter(~Exists(alive), created_at__lt=now - SETTLED)
    return int(over.delete()[0])


@transaction.atomic
def end_session(account: Account, number: int) -> bool:
    """End one of her sessions; False when it is none of hers, or gone."""
    session = UserSession.objects.filter(user=account, pk=number).first()
    if session is None:
        return False
    key = session.session_key
    session.end()
    _tell(Ending(account, (key,)))
    return True


@transaction.atomic
def end_sessions(account: Account, but: str = "") -> int:
    """End all her sessions and all offline access, but for the session with the key `but`. Returns how many ended."""
    sessions = list(UserSession.objects.filter(user=account).exclude(session_key=but))
    keys = tuple(session.session_key for session in sessions)
    for session in sessions:
        session.end()
    _tell(Ending(account, keys, everything=True, kept=but))
    return len(keys)


@transaction.atomic
def move_sessions(source: Account, into: Account) -> None:
    """Two customers became one: where she was signed in as the one, she is the other now, in the same session.

    A session that has not shown the second factor that she has now ends instead.
    """
    asked_for_more, short = is_enrolled(into), []
    for row in UserSession.objects.filter(user=source):
        session = session_store()(row.session_key)
        proofs = session.get(AUTHENTICATION_METHODS_SESSION_KEY) or []
        if asked_for_more and not any(proof.get("method") == "mfa" for proof in proofs):
            short.append(row.session_key)
            row.end()
        elif SESSION_KEY in session:
            session[SESSION_KEY] = session[PROOFS_ARE_OF] = str(into.pk)
            session[HASH_SESSION_KEY] = into.get_session_auth_hash()
            session.save(must_create=False)
    UserSession.objects.filter(user=source).update(user=into)
    if short:
        _tell(Ending(source, tuple(short)))


def session_store() -> Any:
    """The class by which sessions of this installation are read and written."""
    return import_module(settings.SESSION_ENGINE).SessionStore


def _tell(ending: Ending) -> None:
    for hearer in HEARERS:
        hearer(ending)
