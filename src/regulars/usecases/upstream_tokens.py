"""At her provider, in her name: renew a token when it has run out, hand it to who may have it, give a grant back."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.utils import timezone

from regulars.base import http
from regulars.base.errors import DomainError, Invalid
from regulars.base.jobs.tasks import PermanentFailure, Retry, enqueue, enqueue_once, handles
from regulars.connections.endpoints import address_of, basic_header, credentials_of, issuer_of
from regulars.connections.models import Connection
from regulars.connections.provider import ProviderRequest, UpstreamGrant, find_provider
from regulars.profiles.models import Identity, Profile
from regulars.profiles.upstream_tokens import UpstreamToken, keep_token

log = logging.getLogger("regulars.upstream")

LEASE = dt.timedelta(seconds=20)  # longer than one request may take
PATIENCE = 5.0  # seconds to wait for somebody else who is renewing it
TIMEOUT = 8.0


def fresh_token(identity: Identity) -> str:
    """Her token at the provider, renewed if it has run out. Empty: there is none that works.

    Of many who ask at once one renews it: some providers give each refresh token once, and end everything at the second.
    Calls out, so never inside a transaction.
    """
    token = _find(identity.pk)
    if token is None or token.access_token or not token.refresh_token:
        return token.access_token if token else ""
    if _take(token):
        _renew(token)
        return _now(identity.pk)
    return _wait_for(identity.pk)


def show_tokens(user: dict[str, Any], profile: Profile, *, renew: bool = False) -> list[str]:
    """Put each identity's token where Auth0 has it: `user["identities"][…]["access_token"]`. Returns those put.

    `renew` may take seconds; without it a token that has run out is left out and renewed by the worker.
    """
    tokens = {}
    for identity in profile.identities.filter(token__isnull=False).select_related("token"):
        word = fresh_token(identity) if renew else identity.token.access_token
        if word:
            tokens[identity.provider, identity.provider_user_id] = word
        elif identity.token.refresh_token and not renew:
            enqueue_once("upstream.renew", {"identity": identity.pk}, key=f"upstream:{identity.pk}")
    user["identities"] = [_with_token(each, tokens) for each in user.get("identities", [])]
    return list(tokens.values())


@handles("upstream.renew", attempts=5, non_transactional=True)
def renew_later(payload: dict[str, Any]) -> None:
    identity = Identity.objects.filter(pk=payload["identity"]).first()
    if identity:
        fresh_token(identity)


def give_back(identity: Identity, scopes: Iterable[str]) -> bool:
    """Ask her provider, by a job, to end what she granted: these scopes where it can, else all. False: it cannot."""
    connection = _connection(identity)
    provider = find_provider(identity.provider)
    token = _find(identity.pk)
    if connection is None or provider is None or provider.revoke is None or token is None:
        return False
    enqueue("upstream.revoke", {"identity": identity.pk, "scopes": list(scopes)}, key=f"upstream:{identity.pk}")
    return True


@handles("upstream.revoke", attempts=12, non_transactional=True)
def revoke(payload: dict[str, Any]) -> None:
    identity = Identity.objects.filter(pk=payload["identity"]).first()
    connection = _connection(identity) if identity else None
    provider = find_provider(identity.provider) if identity else None
    if identity is None or connection is None or provider is None or provider.revoke is None:
        raise PermanentFailure("this connection is gone")
    word = fresh_token(identity)
    if not word:
        raise PermanentFailure("there is no token to give back: it ran out")
    part = tuple(payload["scopes"]) if provider.revokes_pieces else ()
    grant = UpstreamGrant(address_of(connection, "revoke"), identity.provider_user_id, word, part)
    for message in provider.revoke(grant, credentials_of(connection)):
        send_or_retry(message)
    _forget(identity.pk, payload["scopes"], whole=not part)


def send_or_retry(message: ProviderRequest) -> bool:
    """False: the provider says that there is nothing to end. Raises `Retry` while it is down or does not know us."""
    try:
        answer = send(message)
    except http.RequestFailed as fault:
        raise Retry(fault.message) from None
    except DomainError as no:
        raise PermanentFailure(no.message) from None
    if answer.status >= 500 or answer.status == 429:
        raise Retry(f"the provider answered {answer.status}")
    if answer.status >= 400 and "invalid_client" in answer.body.decode(errors="replace"):
        raise Retry("the provider does not accept our client id and secret")
    if answer.status >= 400:
        log.warning("a grant was not there any more: the provider answered %s", answer.status)
    return answer.status < 400


def _forget(identity_id: int, scopes: Iterable[str], *, whole: bool) -> None:
    rows = UpstreamToken.objects.filter(identity=identity_id)
    gone = set(scopes)
    if whole:
        rows.delete()
    for token in rows:
        rows.update(scopes=[scope for scope in token.scopes if scope not in gone])


def send(message: ProviderRequest) -> http.Response:
    """By the house's one way out. A form travels in the body of a POST, else in the address."""
    url, content, headers = message.url, None, dict(message.headers)
    if message.form and message.method == "POST":
        content = urlencode(message.form).encode()
        headers["content-type"] = "application/x-www-form-urlencoded"
    elif message.form:
        url = f"{url}?{urlencode(message.form)}"
    return http.request(
        message.method, url, headers=headers, content=content, json=dict(message.json) or None, timeout=TIMEOUT
    )


def _renew(token: UpstreamToken) -> None:
    try:
        answer = send(_renewal(token))
        said = answer.json() if answer.status < 500 else {}
    except DomainError as fault:
        log.warning("token of identity %s was not renewed: %s", token.identity_id, fault.code)
        said = {}
    if isinstance(said, dict) and isinstance(said.get("access_token"), str):
        return keep_token(token.identity_id, said)
    ended = isinstance(said, dict) and said.get("error") == "invalid_grant"
    secret = {**token.secret, "refresh_token": ""} if ended else token.secret
    UpstreamToken.objects.filter(pk=token.pk).update(secret=secret, refreshing_until=None)
    return None


def _renewal(token: UpstreamToken) -> ProviderRequest:
    connection = _connection(token.identity)
    if connection is None:
        raise Invalid("unknown_connection", "The connection is gone.")
    return asking(connection, token.refresh_token)


def asking(connection: Connection, refresh_token: str) -> ProviderRequest:
    """The request for a new token. Raises `Invalid("unknown_connection")` for a kind of provider that is gone."""
    provider = find_provider(connection.strategy)
    if provider is None:
        raise Invalid("unknown_connection", "The connection is gone.")
    credentials = credentials_of(connection)
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    headers = {"Accept": "application/json"}
    if provider.basic:
        headers |= basic_header(credentials)
    else:
        form |= {"client_id": credentials.client_id, "client_secret": credentials.secret}
    return ProviderRequest("POST", _token_address(connection), headers, form)


def _token_address(connection: Connection) -> str:
    known = address_of(connection, "token")
    if known:
        return known
    found = http.request("GET", f"{issuer_of(connection)}/.well-known/openid-configuration", timeout=TIMEOUT).json()
    return str(found.get("token_endpoint", "")) if isinstance(found, dict) else ""


def _connection(identity: Identity) -> Connection | None:
    return Connection.objects.filter(name=identity.connection).first()


def _find(identity_id: int) -> UpstreamToken | None:
    return UpstreamToken.objects.select_related("identity").filter(identity=identity_id).first()


def _now(identity_id: int) -> str:
    token = _find(identity_id)
    return token.access_token if token else ""


def _take(token: UpstreamToken) -> bool:
    """One statement: whoever comes second finds that it is taken, or that it was renewed already."""
    now = timezone.now()
    free = Q(refreshing_until=None) | Q(refreshing_until__lt=now)
    rows = UpstreamToken.objects.filter(free, pk=token.pk, updated_at=token.updated_at)
    return rows.update(refreshing_until=now + LEASE) == 1


def _wait_for(identity_id: int) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        token = _find(identity_id)
        if token is None or token.access_token or token.refreshing_until is None:
            break
        time.sleep(0.05)
    return _now(identity_id)


def _with_token(identity: dict[str, Any], tokens: dict[tuple[str, str], str]) -> dict[str, Any]:
    word = tokens.get((identity["provider"], identity["user_id"]))
    return {**identity, "access_token": word} if word else identity
