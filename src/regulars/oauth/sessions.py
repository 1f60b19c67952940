"""Sessions as apps know them: their public id (`sid`), their apps, and what ends together with a session."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from regulars.accounts.models import Account
from regulars.base.db.compiled_query import CompiledInsert
from regulars.base.db.unions import in_either
from regulars.base.tokens.jwt import Claims
from regulars.profiles.models import Profile

from .backchannel_logout import backchannel_logout
from .models import AuthorizationCode, DeviceRequest, RefreshFamily, SessionClient, SessionName


def sid_of_key(key: str) -> str:
    """Return the `sid` of a session that has none yet. It cannot be used to open the session."""
    return hashlib.sha256(f"sid:{key}".encode()).hexdigest()[:32]


def sids_of_keys(keys: Iterable[str]) -> list[str]:
    """Return every `sid` under which apps may know the sessions with these keys."""
    found = [sid_of_key(key) for key in keys]
    return found + list(SessionName.objects.filter(key_sid__in=found).values_list("sid", flat=True))


def key_sids_of(sid: str) -> set[str]:
    """Return the `sid`s that follow from the keys that this session has had."""
    return {sid, *SessionName.objects.filter(sid=sid).values_list("key_sid", flat=True)}


def keep_sid(key: str, sid: str) -> None:
    """Record that the session with this key has this `sid`, which it had before its key changed."""
    if sid != sid_of_key(key):
        SessionName.objects.get_or_create(key_sid=sid_of_key(key), defaults={"sid": sid})


def add_client(profile: Profile, sid: str, client_id: str, claims: Claims) -> None:
    """Record that the app is part of the session. `claims` are what rules added to the customer's ID token there."""
    row = SessionClient(sid=sid, client_id=client_id, profile=profile, claims=claims)
    if not claims:
        _insert(row)
        return
    SessionClient.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["sid", "client"], update_fields=["claims"]
    )


_insert = CompiledInsert(SessionClient, or_leave=True)


def other_clients_in(sid: str, client_id: str) -> list[str]:
    """Return the ids of the other apps in this session, oldest first."""
    others = SessionClient.objects.filter(sid=sid, ended_at=None).exclude(client=client_id).order_by("since")
    return list(others.values_list("client_id", flat=True))


def rule_claims_in(sid: Any, client_id: Any, profile: Any) -> QuerySet[SessionClient, Any]:
    """Return a subquery: the claims that rules added to the last ID token of this app in this session."""
    of_customer = Q(profile=profile) | Q(profile__merged_into=profile)
    rows = SessionClient.objects.filter(of_customer, sid=sid, client_id=client_id)
    return rows.exclude(sid="").values("claims")[:1]


def forget_rule_claims(profiles: Sequence[int]) -> None:
    """Forget what rules added to ID tokens of these customers: what they concluded it from may not be shown any more.

    The next login or refresh remembers what rules add then.
    """
    of_customers = in_either(
        "profile", Profile.objects.filter(pk__in=profiles), Profile.objects.filter(merged_into__in=profiles)
    )
    SessionClient.objects.filter(of_customers).exclude(claims={}).update(claims={})


@transaction.atomic
def end_session(sid: str) -> None:
    """End the session and notify its apps. Of two calls at once, one notifies them."""
    rows = list(SessionClient.objects.select_for_update().filter(sid=sid, ended_at=None).select_related("client"))
    SessionClient.objects.filter(pk__in=[row.pk for row in rows]).update(ended_at=timezone.now())
    subs = dict(Profile.objects.filter(pk__in={row.profile_id for row in rows}).values_list("pk", "user_id"))
    for row in rows:
        backchannel_logout(row.client, subs[row.profile_id], sid)


def end_sessions(account: Account, keys: Iterable[str]) -> None:
    """End what apps got in the sessions with these keys: codes that are not redeemed yet, and offline access."""
    sids = sids_of_keys(keys)
    codes, families = _of_account(account)
    _revoke(codes.filter(grant__sid__in=sids), families.filter(sid__in=sids))
    for sid in sids:
        end_session(sid)


def end_all_sessions(account: Account, keys: Iterable[str], kept_key: str = "") -> None:
    """End what apps got in any session, also in sessions that ended before, except in the session with `kept_key`."""
    kept = sids_of_keys([kept_key] if kept_key else [])
    codes, families = _of_account(account)
    _revoke(codes.exclude(grant__sid__in=kept), families.exclude(sid__in=kept))
    DeviceRequest.objects.filter(_of_customer(account)).delete()
    for sid in sids_of_keys(keys):
        end_session(sid)
    # Sessions of apps without a browser, and those whose browser session is over.
    rest = SessionClient.objects.filter(_of_customer(account), ended_at=None).exclude(sid__in=kept)
    rest.update(ended_at=timezone.now())


def is_alive(sid: str, client_id: str) -> bool:
    """Return whether the app's session with this `sid` was not ended."""
    return find_client_session(sid, client_id) is not None


def find_client_session(sid: str, client_id: str) -> SessionClient | None:
    """Return the app's part in the session with this `sid`, unless the session was ended."""
    rows = SessionClient.objects.filter(sid=sid, client=client_id, ended_at=None)
    return rows.select_related("profile__account", "profile__merged_into__account").first()


def _of_account(account: Account) -> tuple[QuerySet[AuthorizationCode], QuerySet[RefreshFamily]]:
    return (
        AuthorizationCode.objects.filter(_of_customer(account), family=None),
        RefreshFamily.objects.filter(_of_customer(account), revoked_at=None),
    )


def _of_customer(account: Account) -> Q:
    return Q(profile__account=account) | Q(profile__merged_into__account=account)


def _revoke(codes: QuerySet[AuthorizationCode], families: QuerySet[RefreshFamily]) -> None:
    codes.delete()
    families.update(revoked_at=timezone.now(), revoked_why="signed_out")
