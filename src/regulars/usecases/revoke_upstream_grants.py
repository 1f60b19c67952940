"""Somebody is forgotten, and her networks are asked to end what she had allowed us there: by jobs, until they answer.

Her own rows are gone by then; what ending a grant takes is kept aside, encrypted, and no longer than it takes.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from regulars.base import http
from regulars.base.errors import DomainError
from regulars.base.jobs.tasks import PermanentFailure, Retry, enqueue, handles
from regulars.connections.endpoints import address_of, credentials_of
from regulars.connections.models import Connection
from regulars.connections.provider import UpstreamGrant, find_provider
from regulars.profiles.models import Profile
from regulars.profiles.upstream_tokens import LeavingGrant, UpstreamToken, expiry_of

from .upstream_tokens import asking, send, send_or_retry

TRIES = 48  # some two days: a network that is down longer than that is looked at by people
State = LeavingGrant.State


def leave_networks(profiles: Sequence[Profile], erasure: uuid.UUID) -> list[LeavingGrant]:
    """Write down, in the caller's transaction, whom to ask; before her rows go."""
    tokens = UpstreamToken.objects.filter(identity__profile__in=profiles).select_related("identity").order_by("pk")
    return [_write_down(token, erasure) for token in tokens]


def _write_down(token: UpstreamToken, erasure: uuid.UUID) -> LeavingGrant:
    provider = find_provider(token.identity.provider)
    row = LeavingGrant(erasure=erasure, connection=token.identity.connection, expires_at=token.expires_at)
    if provider is None or provider.revoke is None:
        row.state, row.over_at = State.UNABLE, timezone.now()
    else:
        row.secret = {**token.secret, "user_id": token.identity.provider_user_id}
    row.save()
    if row.state == State.WAITING:
        enqueue("upstream.leave", {"grant": row.pk}, key=f"leaving:{row.pk}")
    return row


@handles("upstream.leave", attempts=TRIES, non_transactional=True)
def leave(payload: dict[str, Any]) -> None:
    """Ask once. What came of it is in the row, for the proof; nothing that names her is."""
    row = LeavingGrant.objects.filter(pk=payload["grant"], state=State.WAITING).first()
    if row is None:
        return
    row.tries += 1
    try:
        _over(row, State.ENDED if _end(row) else State.GONE)
    except (Retry, PermanentFailure) as no:
        row.why = str(no)[:200]
        if isinstance(no, PermanentFailure) or row.tries >= TRIES:
            _over(row, State.GAVE_UP)
            raise PermanentFailure(row.why) from None
        row.save(update_fields=["tries", "why"])
        raise


def _over(row: LeavingGrant, state: str) -> None:
    row.state, row.secret, row.over_at = state, {}, timezone.now()
    row.why = row.why if state == State.GAVE_UP else ""
    row.save(update_fields=["state", "secret", "over_at", "tries", "why"])


def _end(row: LeavingGrant) -> bool:
    """Whether there was something to end. Raises `Retry` or `PermanentFailure`."""
    connection = Connection.objects.filter(name=row.connection).first()
    provider = find_provider(connection.strategy) if connection else None
    if connection is None or provider is None or provider.revoke is None:
        raise PermanentFailure("this connection is gone")
    token = row.access_token or _renewed(row, connection)
    if not token:
        return False
    try:
        grant = UpstreamGrant(address_of(connection, "revoke"), str(row.secret["user_id"]), token, ())
        messages = provider.revoke(grant, credentials_of(connection))
    except DomainError as no:  # a key that cannot sign: somebody may mend it
        raise Retry(no.message) from None
    ended = [send_or_retry(message) for message in messages]
    return all(ended)


def _renewed(row: LeavingGrant, connection: Connection) -> str:
    """A new token, kept at once: some networks give each refresh token once. Empty: she ended it there already."""
    if not row.secret.get("refresh_token"):
        raise PermanentFailure("there is no token to give back: it ran out")
    try:
        answer = send(asking(connection, str(row.secret["refresh_token"])))
        said = answer.json() if answer.status < 500 else {}
    except (http.RequestFailed, DomainError) as no:
        raise Retry(no.message) from None
    if isinstance(said, dict) and said.get("error") == "invalid_grant":
        return ""
    if not isinstance(said, dict) or not isinstance(said.get("access_token"), str):
        raise Retry(f"the provider answered {answer.status}")
    news = {name: said[name] for name in ("access_token", "refresh_token") if isinstance(said.get(name), str)}
    row.secret, row.expires_at = {**row.secret, **news}, expiry_of(said)
    row.save(update_fields=["secret", "expires_at"])
    return str(said["access_token"])
