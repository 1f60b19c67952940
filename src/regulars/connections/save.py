"""Create a connection, or change one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.db import transaction

from regulars.base.db.rows import insert_row, update_row
from regulars.base.errors import Conflict, Invalid
from regulars.base.plugins.fields import fill_settings

from .endpoints import address_of, credentials_of, receivers_of
from .login_methods import PASSWORD_CONNECTION
from .models import Connection
from .provider import PROVIDERS, Provider

# The built-in connections, which need no provider: name, strategy, label.
OWN = (
    (PASSWORD_CONNECTION, "auth0", "E-mail and password"),
    ("email", "email", "Code by e-mail"),
)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,200}")  # RFC 6749, 3.3


@dataclass(frozen=True)
class ConnectionSpec:
    """A connection as an operator enters it. An empty `secret` keeps the old one, unless it would go to another address.

    `urls` by key (`issuer`, `site`, or one of the provider's addresses): an empty one is removed, one that is not named stays.
    """

    name: str
    strategy: str
    display_name: str
    client_id: str = ""
    secret: str = ""
    urls: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    scopes: Sequence[str] = ()
    requested_claims: Sequence[str] = ()
    note: str = ""
    enabled: bool = True
    offline: bool = False


@transaction.atomic
def save_connection(spec: ConnectionSpec, connection: Connection | None = None) -> Connection:
    """Create a connection, or change `connection`, whose name and strategy stay as they are.

    Raises `DomainError`: `deleted_meanwhile`, `bad_name`, `name_taken`, `unknown_strategy`, `missing`, `too_long`, `bad_<url's key>`, `bad_scope`,
    `unknown_claim`, `unknown_address`, `unknown_setting`, `setting_missing`, `bad_key`, `secret_required`.
    """
    exists = connection is not None
    if connection is None:
        if not _NAME.fullmatch(spec.name) or spec.name == "new":
            raise Invalid("bad_name", "A name has letters, digits, - and _, and begins with a letter or digit.", "name")
        if Connection.objects.filter(name=spec.name).exists():
            raise _taken(spec.name)
        if spec.strategy not in PROVIDERS:
            raise Invalid("unknown_strategy", f"No kind of provider is called {spec.strategy!r}.", "strategy")
        connection = Connection(name=spec.name, strategy=spec.strategy)
    if not spec.display_name.strip():
        raise Invalid("missing", "Write the name on the button.", "display_name")
    for name, most in (("display_name", 128), ("client_id", 255), ("note", 200), ("secret", 4000)):
        if len(getattr(spec, name)) > most:
            raise Invalid("too_long", f"At most {most} characters.", name)
    connection.display_name, connection.note, connection.enabled = (
        spec.display_name.strip(),
        spec.note.strip(),
        spec.enabled,
    )
    if connection.strategy in PROVIDERS:
        _apply_provider_settings(connection, spec)
    if exists:
        update_row(connection)
    else:
        insert_row(connection, _taken(connection.name))
    return connection


def _taken(name: str) -> Conflict:
    return Conflict("name_taken", f"There is a connection called {name!r} already.", "name")


def ensure_own_connections(*, mail_codes: bool) -> None:
    """Create the built-in connections at the first start; later the business alone switches them on and off.

    Passwords are on, so that a new installation can be signed in to. Codes are on if `mail_codes`: each takes a mail.
    """
    for name, strategy, label in OWN:
        enabled = mail_codes or name == PASSWORD_CONNECTION
        Connection.objects.get_or_create(
            name=name, defaults={"strategy": strategy, "display_name": label, "enabled": enabled}
        )


def switch_connection(name: str, on: bool) -> Connection:
    """Enable or disable a connection. Raises `Invalid("unknown_connection")`."""
    if not Connection.objects.filter(name=name).update(enabled=on):
        raise Invalid("unknown_connection", f"There is no connection called {name!r}.")
    return Connection.objects.get(name=name)


def check_web_address(url: str, about: str, name: str = "bad_url") -> str:
    """Return an absolute https address without user, query or fragment; http only on this machine. Raises `Invalid(name)`."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        plain = not (parts.username or parts.password or parts.query or parts.fragment) and parts.port != 0
    except ValueError:
        host, plain = "", False
    secure = bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK))
    if not (secure and plain) or re.search(r"[\s\\]", url):
        raise Invalid(name, "Write a whole address that begins with https:// (http:// only on this machine).", about)
    return url


def _apply_provider_settings(connection: Connection, spec: ConnectionSpec) -> None:
    provider = PROVIDERS[connection.strategy]
    if not spec.client_id.strip():
        raise Invalid("missing", "Write the client id that the provider gave you.", "client_id")
    if not (spec.secret or connection.secret):
        raise Invalid("missing", "Write the client secret that the provider gave you.", "secret")
    kept_for = receivers_of(connection) if connection.secret and not spec.secret else None
    connection.client_id, connection.secret = spec.client_id.strip(), spec.secret or connection.secret

    scopes = spec.scopes or provider.scopes
    for word in scopes:
        if not _SCOPE.fullmatch(word):
            raise Invalid("bad_scope", f"{word[:60]!r} is not a scope.", "scopes")
    connection.scopes = list(dict.fromkeys([*(["openid"] if provider.openid else []), *scopes]))

    offered = [claim.key for claim in provider.requested_claims]
    for claim in spec.requested_claims:
        if claim not in offered:
            raise Invalid("unknown_claim", f"This provider does not offer {claim!r}.", "requested_claims")
    connection.requested_claims = [claim for claim in offered if claim in spec.requested_claims]

    connection.settings = fill_settings(provider.settings, spec.settings, connection.settings)
    connection.offline = spec.offline

    for key in spec.urls:
        if key not in url_keys(provider):
            raise Invalid("unknown_address", f"This provider has no address called {key[:60]!r}.", key)
    changed = {key: check_web_address(url, key, f"bad_{key}") for key, url in spec.urls.items() if url}
    kept = {key: url for key, url in connection.urls.items() if key not in spec.urls}
    connection.urls = {**kept, **changed}
    if provider.openid and not (provider.issuer or connection.urls.get("issuer")):
        raise Invalid("missing", "Write the issuer: the address that the provider calls itself.", "issuer")
    needed = [] if provider.openid else ["authorize", "token", *(call.key for call in provider.calls if call.required)]
    for key in needed:
        if not address_of(connection, key):
            raise Invalid("missing", "Write this address: the provider's documents name it.", key)
    if kept_for is not None and kept_for != receivers_of(connection):
        raise Invalid(
            "secret_required", "This changes where the secret is sent. Enter the client secret again.", "secret"
        )
    credentials_of(connection)


def url_keys(provider: Provider) -> list[str]:
    """Return the keys of the addresses that may be changed, first the one that moves all of them."""
    own = [key for key in provider.addresses if key != "token" or not provider.openid]
    return ["issuer", *own] if provider.openid else ["site", *own]
