"""Clients and APIs, cached for a few seconds: every request reads them, and they change once a month."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, TypeVar

from regulars.base.crypto import matches_secret

from .models import Client, ClientGrant, ResourceServer

T = TypeVar("T")
CACHED_FOR = 5.0  # seconds: how late a change of an app or an API is noticed
MOST_ENTRIES = 1000
LONGEST_NAME = 255


class TimedCache(Generic[T]):
    """Results of `load`, kept for `CACHED_FOR` seconds. A key without a result is loaded again."""

    def __init__(self, load: Callable[[Any], T | None]) -> None:
        self._load = load
        self._kept: dict[Any, tuple[float, T]] = {}
        self._lock = Lock()

    def __call__(self, key: Any) -> T | None:
        now = time.monotonic()
        kept = self._kept.get(key)
        if kept and now - kept[0] < CACHED_FOR:
            return kept[1]
        found = self._load(key)
        if found is not None:
            with self._lock:
                if len(self._kept) >= MOST_ENTRIES:
                    self._kept.clear()
                self._kept[key] = (now, found)
        return found

    def clear(self) -> None:
        self._kept.clear()


@dataclass(frozen=True)
class ApiAccess:
    """The access of one client to one API by client credentials."""

    audience: str
    lifetime: int
    scopes: tuple[str, ...]
    with_permissions: bool = False


def has_secret(client: Client, secret: str) -> bool:
    return matches_secret(secret, client.secret_hash)


def has_a_secret(client: Client) -> bool:
    return client.auth_method in (Client.AuthMethod.POST, Client.AuthMethod.BASIC)


def is_public(client: Client) -> bool:
    return client.auth_method == Client.AuthMethod.NONE


def may_refresh(client: Client) -> bool:
    return "refresh_token" in client.grant_types


def _is_name(name: str) -> bool:
    """Whether the name can be in a database. PostgreSQL answers a query with NUL by an error."""
    return bool(name) and len(name) <= LONGEST_NAME and "\0" not in name


def _client(client_id: str) -> Client | None:
    return Client.objects.filter(pk=client_id).first() if _is_name(client_id) else None


def _api(identifier: str) -> ResourceServer | None:
    return ResourceServer.objects.filter(identifier=identifier).first() if _is_name(identifier) else None


def _api_access(key: tuple[str, str]) -> ApiAccess | None:
    client_id, audience = key
    grants = ClientGrant.objects.filter(client_id=client_id, resource_server__identifier=audience)
    grant = grants.select_related("resource_server").first() if _is_name(audience) else None
    if grant is None:
        return None
    api = grant.resource_server
    with_permissions = api.token_dialect == ResourceServer.Dialect.WITH_PERMISSIONS
    return ApiAccess(audience, api.token_lifetime, tuple(grant.scopes), with_permissions)


find_client = TimedCache(_client)
find_api = TimedCache(_api)
find_api_access = TimedCache(_api_access)


def clear() -> None:
    """Empty the caches, after a change in this process that must be effective at once."""
    for cached in (find_client, find_api, find_api_access):
        cached.clear()
