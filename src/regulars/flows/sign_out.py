"""Sessions end: one of them, or all. What a door keeps beside a session (an app's offline access) ends with it.

A door registers with `hears_of_endings`, as it does for jobs: this floor cannot know the doors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from allauth.usersessions.models import UserSession
from django.db import transaction

from regulars.profiles.models import Account


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


def _tell(ending: Ending) -> None:
    for hearer in HEARERS:
        hearer(ending)
