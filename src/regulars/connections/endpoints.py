"""Addresses, settings and credentials of a connection: its own, completed by what its kind of provider declares."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from urllib.parse import quote, urlsplit

from .models import Connection
from .provider import PROVIDERS, Credentials


def address_of(connection: Connection, key: str) -> str:
    """Return the connection's own address for `key`, else the provider's, moved below `urls["site"]` or its own issuer.

    Empty when neither names one.
    """
    declared = PROVIDERS[connection.strategy].addresses.get(key, "")
    whole = declared.format_map(defaultdict(str, {"client_id": connection.client_id, **settings_of(connection)}))
    site = connection.urls.get("site") or connection.urls.get("issuer") or ""
    moved = site.rstrip("/") + urlsplit(whole).path if site and whole else whole
    return str(connection.urls.get(key) or moved)


def issuer_of(connection: Connection) -> str:
    provider = PROVIDERS[connection.strategy]
    return str(connection.urls.get("issuer") or connection.urls.get("site") or provider.issuer).rstrip("/")


def home_of(connection: Connection) -> str:
    """Return the address that decides where tokens of this connection come from and are renewed."""
    return issuer_of(connection) if PROVIDERS[connection.strategy].openid else address_of(connection, "token")


def receivers_of(connection: Connection) -> dict[str, str]:
    """Return every address that gets this connection's secret, or a token that was issued for it."""
    addresses = {key: address_of(connection, key) for key in PROVIDERS[connection.strategy].addresses}
    return {**addresses, "home": home_of(connection)}


def settings_of(connection: Connection) -> dict[str, str]:
    """Return the operator's settings, completed by the defaults of the kind of provider."""
    declared = {field.key: field.default for field in PROVIDERS[connection.strategy].settings}
    return {**declared, **{key: value for key, value in connection.settings.items() if value}}


def credentials_of(connection: Connection) -> Credentials:
    kept = str(connection.secret or "")
    secret = PROVIDERS[connection.strategy].secret_of(settings_of(connection), connection.client_id, kept)
    return Credentials(connection.client_id, secret)


def basic_header(credentials: Credentials) -> dict[str, str]:
    """Return the Authorization header of RFC 6749, 2.3.1."""
    pair = f"{quote(credentials.client_id, safe='')}:{quote(credentials.secret, safe='')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
