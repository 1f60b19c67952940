"""Auth0's `context`: the shape of one login in rules, and `requested_scopes` for actions."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from regulars.base.text import JsonObject


class Stats(TypedDict):
    loginsCount: int


class SingleSignOn(TypedDict):
    with_auth0: bool
    with_dbconn: bool
    current_clients: list[str]


class GeoIp(TypedDict, total=False):
    """The place of the request's address, with the fields that the database on this machine has. Degrees are WGS 84."""

    country_code: str
    country_code3: str
    country_name: str
    continent_code: str
    city_name: str
    subdivision_code: str
    subdivision_name: str
    latitude: float
    longitude: float
    time_zone: str


class RequestInfo(TypedDict):
    """The HTTP request of the login. `geoip` is missing for addresses that are not in the database (`rules.geoip`)."""

    ip: str
    userAgent: str
    hostname: str
    query: JsonObject
    body: JsonObject
    geoip: NotRequired[GeoIp]


class AuthenticationMethod(TypedDict):
    """One method, such as `pwd`, `federated` or `mfa`, and when it was used, in milliseconds since 1970."""

    name: str
    timestamp: int


class AuthenticationInfo(TypedDict):
    methods: list[AuthenticationMethod]


class AuthorizationInfo(TypedDict):
    roles: list[str]


class Auth0Context(TypedDict):
    """One login as rules get it. `protocol` is Auth0's, for example `oidc-basic-profile` or `redirect-callback`."""

    tenant: str
    clientID: str
    clientName: str
    clientMetadata: dict[str, str]
    connection: str
    connectionStrategy: str
    protocol: str
    stats: Stats
    sso: SingleSignOn
    sessionID: str
    request: RequestInfo
    authentication: AuthenticationInfo
    authorization: AuthorizationInfo
    requested_scopes: list[str]
    accessToken: JsonObject
    idToken: JsonObject
