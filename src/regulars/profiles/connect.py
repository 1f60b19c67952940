"""Offer a way in, or change one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db import transaction

from regulars.base.kit.errors import Refused

from .connections import Connection
from .pieces import STRATEGIES

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,200}")  # RFC 6749, 3.3


@dataclass(frozen=True)
class Way:
    """A connection as an operator writes it. `secret` empty: as it was. `issuer` empty: the provider's own."""

    name: str
    strategy: str
    display_name: str
    client_id: str = ""
    secret: str = ""
    issuer: str = ""
    people_url: str = ""
    scopes: Sequence[str] = ()
    pieces: Sequence[str] = ()
    note: str = ""
    enabled: bool = True


@transaction.atomic
def save_connection(way: Way, connection: Connection | None = None) -> Connection:
    """Make a connection, or change `connection`, whose name and strategy stay as they are.

    Raises `Refused`: `bad_name`, `name_taken`, `unknown_strategy`, `missing`, `too_long`, `bad_issuer`, `bad_scope`,
    `unknown_piece`.
    """
    connection = connection or Connection(name=_new_name(way.name), strategy=_known(way.strategy))
    _check_lengths(way)
    connection.display_name, connection.note, connection.enabled = (
        way.display_name.strip(),
        way.note.strip(),
        way.enabled,
    )
    if connection.strategy in STRATEGIES:
        _take_provider(connection, way)
    connection.save()
    return connection


def switch_connection(name: str, on: bool) -> Connection:
    """Offer it or not. Raises `Refused("unknown_connection")`."""
    if not Connection.objects.filter(name=name).update(enabled=on):
        raise Refused("unknown_connection", f"There is no connection called {name!r}.")
    return Connection.objects.get(name=name)


def check_web_address(url: str, about: str, name: str = "bad_url") -> str:
    """An absolute https address without user, query or fragment; http only on this machine. Raises `Refused(name)`."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        plain = not (parts.username or parts.password or parts.query or parts.fragment) and parts.port != 0
    except ValueError:
        host, plain = "", False
    secure = bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK))
    if not (secure and plain) or re.search(r"[\s\\]", url):
        raise Refused(name, "Write a whole address that begins with https:// (http:// only on this machine).", about)
    return url


def _take_provider(connection: Connection, way: Way) -> None:
    strategy = STRATEGIES[connection.strategy]
    if not way.client_id.strip():
        raise Refused("missing", "Write the client id that the provider gave you.", "client_id")
    if not (way.secret or connection.secret):
        raise Refused("missing", "Write the client secret that the provider gave you.", "secret")
    if not (way.issuer or strategy.issuer):
        raise Refused("missing", "Write the issuer: the address that the provider calls itself.", "issuer")
    connection.client_id, connection.secret = way.client_id.strip(), way.secret or connection.secret
    connection.scopes = _scopes(way.scopes or strategy.scopes)
    connection.pieces = _pieces(way.pieces, connection.strategy)
    connection.urls = _urls(connection.urls, way)


def _urls(before: dict[str, str], way: Way) -> dict[str, str]:
    """What is not on the form stays; what is emptied goes."""
    given = {"issuer": way.issuer, "people": way.people_url}
    checked = {key: check_web_address(url, key, f"bad_{key}") for key, url in given.items() if url}
    return {**{key: url for key, url in before.items() if key not in given}, **checked}


def _scopes(words: Sequence[str]) -> list[str]:
    for word in words:
        if not _SCOPE.fullmatch(word):
            raise Refused("bad_scope", f"{word[:60]!r} is not a scope.", "scopes")
    return list(dict.fromkeys(["openid", *words]))


def _pieces(keys: Sequence[str], strategy: str) -> list[str]:
    known = [piece.key for piece in STRATEGIES[strategy].pieces]
    for key in keys:
        if key not in known:
            raise Refused("unknown_piece", f"This provider has no piece called {key!r}.", "pieces")
    return [key for key in known if key in keys]


def _check_lengths(way: Way) -> None:
    if not way.display_name.strip():
        raise Refused("missing", "Write the name on the button.", "display_name")
    for name, most in (("display_name", 128), ("client_id", 255), ("note", 200), ("secret", 4000)):
        if len(getattr(way, name)) > most:
            raise Refused("too_long", f"At most {most} characters.", name)


def _new_name(name: str) -> str:
    if not _NAME.fullmatch(name) or name == "new":
        raise Refused("bad_name", "A name has letters, digits, - and _, and begins with a letter or digit.", "name")
    if Connection.objects.filter(name=name).exists():
        raise Refused("name_taken", f"There is a connection called {name!r} already.", "name")
    return name


def _known(strategy: str) -> str:
    if strategy not in STRATEGIES:
        raise Refused("unknown_strategy", f"No kind of provider is called {strategy!r}.", "strategy")
    return strategy
