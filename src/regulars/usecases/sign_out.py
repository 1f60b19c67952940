"""End sessions: one of them or all, together with the offline access that apps got in them."""

from __future__ import annotations

import datetime as dt
from importlib import import_module
from typing import Any

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from regulars.accounts.factors.authenticator_codes import is_enrolled
from regulars.accounts.models import Account, StoredSession
from regulars.accounts.proofs.models import LoginTicket
from regulars.clients.cache import find_client, is_public
from regulars.oauth import sessions as oauth_sessions
from regulars.profiles.find import canonical_profile

RECORDS_OF = "account_authentication_methods_user"  # allauth's: the account of the session's authentication records
SETTLED = dt.timedelta(hours=1)  # a session that is younger may be listed already and not be stored yet


def sessions_of(account: Account) -> list[UserSession]:
    """Return the sessions of the account, newest first. Expired ones are deleted on the way."""
    return sorted(UserSession.objects.purge_and_list(account), key=lambda each: each.created_at, reverse=True)


def delete_ended_sessions() -> int:
    """Delete the list entries of sessions that ended. The worker runs it daily. Returns how many there were."""
    now = timezone.now()
    alive = StoredSession.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=now)
    over = UserSession.objects.filter(~Exists(alive), created_at__lt=now - SETTLED)
    return int(over.delete()[0])


@transaction.atomic
def end_session(account: Account, number: int) -> bool:
    """End one session of the account. Returns False when the account has no such session."""
    session = UserSession.objects.filter(user=account, pk=number).first()
    if session is None:
        return False
    key = session.session_key
    session.end()
    oauth_sessions.end_sessions(account, [key])
    return True


@transaction.atomic
def sign_out_by_hint(client_id: str, sid: str) -> bool:
    """End a session for a server of an app that has its ID token. Returns False when that app may not, or has no part in it.

    As after a sign-out in the browser, the apps of the session are notified and offline access stays.
    """
    client = find_client(client_id)
    if client is None or not client.signs_out_by_hint or is_public(client):
        return False
    if not oauth_sessions.is_alive(sid, client_id):
        return False
    session = find_session(client_id, sid)
    if session:
        session.end()
    oauth_sessions.end_session(sid)
    return True


def find_session(client_id: str, sid: str) -> UserSession | None:
    """Return the browser session that this app knows by its `sid`, unless it is over."""
    row = oauth_sessions.find_client_session(sid, client_id)
    account = canonical_profile(row.profile).account if row else None
    if account is None:
        return None
    key_sids = oauth_sessions.key_sids_of(sid)
    alive = StoredSession.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=timezone.now())
    sessions = UserSession.objects.filter(Exists(alive), user=account)
    return next((each for each in sessions if oauth_sessions.sid_of_key(each.session_key) in key_sids), None)


@transaction.atomic
def end_sessions(account: Account, but: str = "") -> int:
    """End all sessions and all offline access, except the session with the key `but`. Returns how many sessions ended.

    What is about to become a session or an access ends as well: login tickets, and devices that were just allowed.
    """
    LoginTicket.objects.filter(account=account).delete()
    listed = UserSession.objects.filter(user=account).exclude(session_key=but)
    # Those of the console are in no list. One with words waits for a second factor, and checks for itself whether it may go on.
    stored = StoredSession.objects.filter(account=account, words=None).exclude(session_key=but)
    keys = sorted({*listed.values_list("session_key", flat=True), *stored.values_list("session_key", flat=True)})
    UserSession.objects.filter(user=account, session_key__in=keys).delete()
    StoredSession.objects.filter(session_key__in=keys).delete()
    oauth_sessions.end_all_sessions(account, keys, kept_key=but)
    return len(keys)


@transaction.atomic
def move_sessions(source: Account, into: Account) -> None:
    """Move the sessions of an account that was merged. They continue under the other account.

    A session without the second factor that the other account requires ends instead.
    """
    needs_second_factor, ended = is_enrolled(into), []
    for row in UserSession.objects.filter(user=source):
        session = session_store()(row.session_key)
        records = session.get(AUTHENTICATION_METHODS_SESSION_KEY) or []
        if needs_second_factor and not any(record.get("method") == "mfa" for record in records):
            ended.append(row.session_key)
            row.end()
        elif SESSION_KEY in session:
            session[SESSION_KEY] = session[RECORDS_OF] = str(into.pk)
            session[HASH_SESSION_KEY] = into.get_session_auth_hash()
            session.save(must_create=False)
    UserSession.objects.filter(user=source).update(user=into)
    if ended:
        oauth_sessions.end_sessions(source, ended)


def session_store() -> Any:
    """Return the class that reads and writes the sessions of this installation."""
    return import_module(settings.SESSION_ENGINE).SessionStore
