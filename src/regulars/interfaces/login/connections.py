"""The ways in that are open now, as allauth wants to hear of them."""

from __future__ import annotations

from regulars.base.db.compiled_query import CompiledQuery
from regulars.connections.models import Connection
from regulars.connections.provider import PROVIDERS

from .passwords import CONNECTION


def social_connections() -> list[Connection]:
    """Enabled connections of a strategy we speak, in the order they were made."""
    return list(Connection.objects.filter(enabled=True, strategy__in=list(PROVIDERS)).order_by("pk"))


def find_social(name: str) -> Connection | None:
    return Connection.objects.filter(name=name, enabled=True, strategy__in=list(PROVIDERS)).first()


def has_passwords() -> bool:
    return _passwords.exists()


_passwords = CompiledQuery(lambda: Connection.objects.filter(name=CONNECTION, enabled=True).values_list("pk"))
