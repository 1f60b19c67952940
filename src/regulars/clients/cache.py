"""Clients and APIs, cached: every request reads them, and they change once a month."""

from __future__ import annotations

from dataclasses import dataclass

from regulars.base.configuration.versioned_cache import VersionedCache
from regulars.base.crypto import matches_secret

from .models import Client, ClientGrant, ResourceServer

LONGEST_NAME = 255


@dataclass(frozen=True)
class ApiAccess:
    """The access of one client to one API by client credentials."""

    audience: str
    lifetime: int
    scopes: tuple[str, ...]
    dialect: ResourceServer.Dialect = ResourceServer.Dialect.AUTH0
    purpose: str = ""


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
    found = ResourceServer.objects.filter(identifier=identifier).first() if _is_name(identifier) else None
    return None if found is None or is_client_id(identifier) else found


def is_client_id(name: str) -> bool:
    """Return whether a client has this id. An API of that name would get tokens with the audience of the client's ID tokens."""
    return _client(name) is not None


def _api_access(key: tuple[str, str]) -> ApiAccess | None:
    client_id, audience = key
    grants = ClientGrant.objects.filter(client_id=client_id, resource_server__identifier=audience)
    grant = grants.select_related("resource_server").first() if _is_name(audience) else None
    if grant is None or is_client_id(audience):
        return None
    api = grant.resource_server
    dialect = ResourceServer.Dialect(api.token_dialect)
    return ApiAccess(audience, api.token_lifetime, tuple(grant.scopes), dialect, grant.purpose)


find_client = VersionedCache(_client, Client)
find_api = VersionedCache(_api, ResourceServer, Client)
find_api_access = VersionedCache(_api_access, ClientGrant, ResourceServer, Client)
