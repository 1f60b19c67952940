"""The login methods that are open now: social connections and passwords."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from regulars.base.db.compiled_query import CompiledQuery

from .models import Connection
from .provider import PROVIDERS

PASSWORD_CONNECTION = "Username-Password-Authentication"  # noqa: S105 - Auth0's name of the connection
# What the pages say beside a network that a mock service stands in for.
MOCK_NOTE = gettext_noop("Invented people, not the real network")


def social_connections() -> list[Connection]:
    """Enabled connections of a supported strategy, in the order they were made."""
    return list(Connection.objects.filter(enabled=True, strategy__in=list(PROVIDERS)).order_by("pk"))


def find_social(name: str) -> Connection | None:
    return Connection.objects.filter(name=name, enabled=True, strategy__in=list(PROVIDERS)).first()


def has_passwords() -> bool:
    return _passwords.exists()


_passwords = CompiledQuery(lambda: Connection.objects.filter(name=PASSWORD_CONNECTION, enabled=True).values_list("pk"))
