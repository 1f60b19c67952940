"""End what a customer allowed at their provider: a part of it when they stop sharing, all of it when they are erased.

Jobs ask the provider until it answers. At an erasure the customer's own rows are deleted at once; what the revocation needs
is kept apart, encrypted, and no longer than the revocation takes.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.utils import timezone

from regulars.base import http
from regulars.base.errors import DomainError
from regulars.base.jobs.tasks import PermanentFailure, Retry, enqueue, handles
from regulars.connections.oauth_client import send
from regulars.connections.provider import ProviderRequest, find_provider
from regulars.profiles.models import Identity, Profile
from regulars.profiles.upstream_tokens import UpstreamRevocation, UpstreamToken, expiry_of

from .renew_upstream_tokens import client_for, fresh_token

log = logging.getLogger("regulars.upstream")

TRIES = 48  # about two days: staff look at a provider that is down for longer
GONE = "this connection was deleted, or moved to another address"
State = UpstreamRevocation.State


def request_revocation(identity: Identity, scopes: Iterable[str]) -> bool:
    """Have a job ask the provider to end these scopes, or all where it cannot end a part. False: it cannot be asked."""
    token = UpstreamToken.objects.filter(identity=identity).first()
    client = client_for(identity.connection, token.issued_by) if token else None
    if client is None or client.kind.revoke is None:
        return False
    enqueue("upstream.revoke", {"identity": identity.pk, "scopes": list(scopes)}, key=f"upstream:{identity.pk}")
    return True


@handles("upstream.revoke", attempts=12, non_transactional=True)
def revoke(payload: dict[str, Any]) -> None:
    identity = Identity.objects.filter(pk=payload["identity"]).first()
    kept = UpstreamToken.objects.filter(identity=identity).first() if identity else None
    client = client_for(identity.connection, kept.issued_by) if identity and kept else None
    if identity is None or client is None or client.kind.revoke is None:
        raise PermanentFailure(GONE)
    token = fresh_token(identity)
    if not token:
        raise PermanentFailure("there is no token to revoke: it has expired")
    part = tuple(payload["scopes"]) if client.kind.revokes_parts else ()
    for request in client.revocation_requests(identity.provider_user_id, token, part):
        _send_or_retry(request)
    rows = UpstreamToken.objects.filter(identity=identity)
    if not part:
        rows.delete()
    for row in rows:
        rows.update(scopes=[scope for scope in row.scopes if scope not in part])


def revoke_for_erasure(profiles: Sequence[Profile], erasure: uuid.UUID) -> list[UpstreamRevocation]:
    """Write down, in the caller's transaction, which providers to ask; call it before the customers' rows are deleted."""
    tokens = UpstreamToken.objects.filter(identity__profile__in=profiles).select_related("identity").order_by("pk")
    rows = []
    for token in tokens:
        provider = find_provider(token.identity.provider)
        row = UpstreamRevocation(erasure=erasure, connection=token.identity.connection, expires_at=token.expires_at)
        if provider is None or provider.revoke is None:
            row.state, row.over_at = State.UNABLE, timezone.now()
        else:
            row.secret = {**token.secret, "user_id": token.identity.provider_user_id}
        row.save()
        if row.state == State.WAITING:
            enqueue("upstream.revoke_erased", {"revocation": row.pk}, key=f"upstream-erased:{row.pk}")
        rows.append(row)
    return rows


@handles("upstream.revoke_erased", attempts=TRIES, non_transactional=True)
def revoke_erased(payload: dict[str, Any]) -> None:
    """Ask the provider once. The row keeps the outcome for the proof of erasure, and nothing that names the customer."""
    row = UpstreamRevocation.objects.filter(pk=payload["revocation"], state=State.WAITING).first()
    if row is None:
        return
    row.tries += 1
    try:
        _finish(row, State.ENDED if _end_grant(row) else State.NOT_FOUND)
    except (Retry, PermanentFailure) as fault:
        row.why = str(fault)[:200]
        if isinstance(fault, PermanentFailure) or row.tries >= TRIES:
            _finish(row, State.FAILED)
            raise PermanentFailure(row.why) from None
        row.save(update_fields=["tries", "why"])
        raise


def _finish(row: UpstreamRevocation, state: str) -> None:
    row.state, row.secret, row.over_at = state, {}, timezone.now()
    row.why = row.why if state == State.FAILED else ""
    row.save(update_fields=["state", "secret", "over_at", "tries", "why"])


def _end_grant(row: UpstreamRevocation) -> bool:
    """Return whether there was a grant to end. Raises `Retry` or `PermanentFailure`."""
    client = client_for(row.connection, str(row.secret.get("issued_by", "")))
    if client is None or client.kind.revoke is None:
        raise PermanentFailure(GONE)
    token = row.access_token
    if not token:
        if not row.secret.get("refresh_token"):
            raise PermanentFailure("there is no token to revoke: it has expired")
        try:
            issued = client.refresh(str(row.secret["refresh_token"]))
        except DomainError as fault:
            if fault.code == "grant_ended":  # the customer ended the grant at the provider already
                return False
            raise Retry(fault.message) from None
        # Saved at once: some providers accept each refresh token once.
        row.secret, row.expires_at = {**row.secret, **issued}, expiry_of(issued)
        row.save(update_fields=["secret", "expires_at"])
        token = issued["access_token"]
    try:
        requests = client.revocation_requests(str(row.secret["user_id"]), token)
    except DomainError as refused:  # a key that cannot sign: staff may correct it
        raise Retry(refused.message) from None
    ended = [_send_or_retry(request) for request in requests]
    return all(ended)


def _send_or_retry(request: ProviderRequest) -> bool:
    """Return False when the provider has no such grant. Raises `Retry` while it is down or refuses our credentials."""
    try:
        answer = send(request)
    except http.RequestFailed as fault:
        raise Retry(fault.message) from None
    except DomainError as refused:
        raise PermanentFailure(refused.message) from None
    if answer.status >= 500 or answer.status == 429:
        raise Retry(f"the provider answered {answer.status}")
    if answer.status >= 400 and "invalid_client" in answer.body.decode(errors="replace"):
        raise Retry("the provider does not accept our client id and secret")
    if answer.status >= 400:
        log.warning("the provider has no such grant: it answered %s", answer.status)
    return answer.status < 400
