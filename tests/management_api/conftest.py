"""A client of the API, with the scopes that a test gives it."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings

from regulars.base.tokens.jwt import sign
from regulars.clients.models import Client
from regulars.connections.models import Connection

EVERYTHING = (
    "read:users create:users update:users delete:users read:clients read:connections read:segments create:segments "
    "create:refusals update:restrictions"
)


LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def make_token(scope: str = EVERYTHING, **claims: Any) -> str:
    """Return a token of the app `bot`, which is made for it."""
    Client.objects.get_or_create(client_id="bot", defaults={"name": "Bot", "created_at": LONG_AGO})
    standard = {"aud": f"{settings.ISSUER}api/v2/", "sub": "bot@clients", "azp": "bot", "exp": int(time.time()) + 600}
    return sign({**standard, "scope": scope, **claims}, "at+jwt")


@dataclass
class ApiClient:
    """Call with Django's test client, and read JSON."""

    client: Any

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None, **query: Any) -> Any:
        authorization = {"Authorization": f"Bearer {token or make_token()}"}
        address = f"/api{path}" + (f"?{urlencode(query)}" if query else "")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.client.generic(method, address, data, content_type="application/json", headers=authorization)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.call("GET", path, **query)
        assert answer.status_code == 200, answer.content
        return answer.json()


@pytest.fixture
def api_client(client, standard_setup) -> ApiClient:
    client.raise_request_exception = False
    return ApiClient(client)


@pytest.fixture
def passwords(standard_setup) -> Connection:
    return Connection.objects.create(
        name="Username-Password-Authentication", strategy="auth0", display_name="Password", secret="hidden"
    )
