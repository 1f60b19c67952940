"""Which apps are part of a session, what rules told them there, and that they hear when it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from regulars.base.db.compiled_query import CompiledInsert
from regulars.oauth.models import SessionClient, SessionName
from regulars.profiles.models import Profile
from regulars.usecases.backchannel_logout import backchannel_logout

SID = "sid"  # in the session's own data: signing in anew changes the session's key, and it is the same session to apps


def sid_of(request: HttpRequest) -> str:
    """The session's public name: what apps may know of it is of no use to open it."""
    key = request.session.session_key
    return str(request.session.get(SID, "")) or (sid_of_key(key) if key else "")


def sid_of_key(key: str) -> str:
    """The public name that a session gets which has none yet."""
    return hashlib.sha256(f"sid:{key}".encode()).hexdigest()[:32]


def sids_of_keys(keys: Iterable[str]) -> list[str]:
    """All public names under which apps may know the sessions with these keys."""
    found = [sid_of_key(key) for key in keys]
    return found + list(SessionName.objects.filter(key_sid__in=found).values_list("sid", flat=True))


def name_session(request: HttpRequest) -> None:
    """Let the session keep its public name. Two requests at once give it the same one."""
    sid = sid_of(request)
    if sid and SID not in request.session:
        request.session[SID] = sid


def on_signed_in(request: HttpRequest, **_: Any) -> None:
    """She signed in anew: the session has a new key, and apps know it by the name it had."""
    key = request.session.session_key
    sid = request.session.get(SID)
    if key and sid and sid != sid_of_key(key):
        SessionName.objects.get_or_create(key_sid=sid_of_key(key), defaults={"sid": sid})


def note(profile: Profile, sid: str, client_id: str, claims: dict[str, Any]) -> None:
    """This app is part of the session now; `claims` are what rules add to her ID token there."""
    row = SessionClient(sid=sid, client_id=client_id, profile=profile, claims=claims)
    if not claims:
        _note(row)
        return
    SessionClient.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["sid", "client"], update_fields=["claims"]
    )


_note = CompiledInsert(SessionClient, or_leave=True)


def others_in(sid: str, client_id: str) -> list[str]:
    """The ids of the other apps in this session, the oldest first."""
    others = SessionClient.objects.filter(sid=sid, ended_at=None).exclude(client=client_id).order_by("since")
    return list(others.values_list("client_id", flat=True))


def claims_in(sid: Any, client_id: Any, profile: Any) -> QuerySet[SessionClient, Any]:
    """What rules added to the ID token that this app got last in this session: a query that becomes part of another."""
    hers = Q(profile=profile) | Q(profile__merged_into=profile)
    rows = SessionClient.objects.filter(hers, sid=sid, client_id=client_id)
    return rows.exclude(sid="").values("claims")[:1]


@transaction.atomic
def end(sid: str) -> None:
    """The session is over. Of two who end it at once, one tells the apps."""
    rows = list(SessionClient.objects.select_for_update().filter(sid=sid, ended_at=None).select_related("client"))
    SessionClient.objects.filter(pk__in=[row.pk for row in rows]).update(ended_at=timezone.now())
    subs = dict(Profile.objects.filter(pk__in={row.profile_id for row in rows}).values_list("pk", "user_id"))
    for row in rows:
        backchannel_logout([row.client], subs[row.profile_id], sid)


def on_signed_out(request: HttpRequest | None, **_: Any) -> None:
    """Django says so before it empties the session."""
    sid = sid_of(request) if request is not None and hasattr(request, "session") else ""
    if sid:
        end(sid)
