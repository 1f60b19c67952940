"""Use a customer's token at their provider: renew it when it has expired, and show it to who may have it."""

from __future__ import annotations

import datetime as dt
import logging
import time
from typing import Any

from django.db.models import Q
from django.utils import timezone

from regulars.base.errors import DomainError
from regulars.base.jobs.tasks import enqueue_once, handles
from regulars.connections.endpoints import home_of
from regulars.connections.models import Connection
from regulars.connections.oauth_client import ProviderClient
from regulars.connections.provider import find_provider
from regulars.profiles.auth0_user import Auth0Identity, Auth0User
from regulars.profiles.models import Identity, Profile
from regulars.profiles.upstream_tokens import UpstreamToken, keep_token

log = logging.getLogger("regulars.upstream")

LEASE = dt.timedelta(seconds=20)  # longer than one request may take
LONGEST_WAIT = 5.0  # seconds to wait for another process that is renewing the token


def fresh_token(identity: Identity) -> str:
    """Return the customer's access token, renewed if it has expired. Empty: there is none that works.

    Of several processes that ask at once one renews it: some providers accept each refresh token once, and end the whole
    grant at the second use. Calls the provider, so never call it inside a transaction.
    """
    token = UpstreamToken.objects.select_related("identity").filter(identity=identity.pk).first()
    if token is None or token.access_token or not token.refresh_token:
        return token.access_token if token else ""
    # One statement decides whether this process may renew the token.
    now = timezone.now()
    free = Q(refreshing_until=None) | Q(refreshing_until__lt=now)
    rows = UpstreamToken.objects.filter(free, pk=token.pk, updated_at=token.updated_at)
    if rows.update(refreshing_until=now + LEASE) == 1:
        _renew(token)
    else:
        deadline = time.monotonic() + LONGEST_WAIT
        while time.monotonic() < deadline:
            current = UpstreamToken.objects.filter(identity=identity.pk).first()
            if current is None or current.access_token or current.refreshing_until is None:
                break
            time.sleep(0.05)
    token = UpstreamToken.objects.filter(identity=identity.pk).first()
    return token.access_token if token else ""


def show_tokens(user: Auth0User, profile: Profile, *, renew: bool = False) -> list[str]:
    """Put each identity's token where Auth0 has it: `user["identities"][…]["access_token"]`. Returns those put.

    `renew` may take seconds; without it an expired token is left out and renewed by the worker. While processing is
    restricted there is none: with a token an application reads more of the customer from the provider.
    """
    if profile.restricted_at is not None:
        return []
    tokens: dict[tuple[str, str], str] = {}
    for identity in profile.identities.filter(token__isnull=False).select_related("token"):
        usable = fresh_token(identity) if renew else identity.token.access_token
        if usable:
            tokens[identity.provider, identity.provider_user_id] = usable
        elif identity.token.refresh_token and not renew:
            enqueue_once("upstream.renew", {"identity": identity.pk}, key=f"upstream:{identity.pk}")
    identities: list[Auth0Identity] = []
    for each in user.get("identities", []):
        token = tokens.get((each["provider"], each["user_id"]))
        identities.append({**each, "access_token": token} if token else each)
    user["identities"] = identities
    return list(tokens.values())


@handles("upstream.renew", attempts=5, non_transactional=True)
def renew_later(payload: dict[str, Any]) -> None:
    identity = Identity.objects.filter(pk=payload["identity"]).first()
    if identity:
        fresh_token(identity)


def client_for(connection_name: str, issued_by: str) -> ProviderClient | None:
    """Return the client of a connection, for tokens of the address `issued_by` (empty: not recorded).

    None when the connection was deleted, leads to another address by now, or its kind of provider is not installed.
    """
    connection = Connection.objects.filter(name=connection_name).first()
    if connection is None or find_provider(connection.strategy) is None:
        return None
    return ProviderClient(connection) if issued_by in ("", home_of(connection)) else None


def _renew(token: UpstreamToken) -> None:
    """Save a new token. A refresh token that the provider does not accept any more is deleted."""
    client, ended = client_for(token.identity.connection, token.issued_by), False
    try:
        if client:
            return keep_token(token.identity_id, client.refresh(token.refresh_token))
    except DomainError as fault:
        log.warning("token of identity %s was not renewed: %s", token.identity_id, fault.code)
        ended = fault.code == "grant_ended"
    secret = {**token.secret, "refresh_token": ""} if ended else token.secret
    UpstreamToken.objects.filter(pk=token.pk).update(secret=secret, refreshing_until=None)
    return None
