"""A request that names two clients is refused at every endpoint that authenticates clients."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from tests.oidc.app import SECRET, make_client

ENDPOINTS = ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/par", "/oauth/device/code"]


def basic(client_id: str, secret: str = SECRET) -> dict[str, str]:
    pair = f"{quote(client_id)}:{quote(secret)}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


def unsigned(subject: str) -> str:
    """Return an assertion of this client without a valid signature."""
    parts = (b'{"alg":"RS256"}', f'{{"sub":"{subject}"}}'.encode(), b"x")
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    ("header", "body"),
    [
        (basic("shop"), {"client_id": "other"}),
        (basic("shop"), {"client_id": "other", "client_secret": SECRET}),
        (basic("shop", ""), {"client_id": "other", "client_secret": SECRET}),
        (basic("nowhere"), {"client_id": "other", "client_secret": SECRET}),
        (basic("shop"), {"client_assertion": unsigned("other")}),
        ({}, {"client_id": "shop", "client_secret": SECRET, "client_assertion": unsigned("other")}),
    ],
)
@pytest.mark.parametrize("form", ["form", "json"])
def test_two_clients_in_one_request_are_an_invalid_client(app, path, header, body, form):
    make_client("other")
    values = {"grant_type": "client_credentials", "token": "x", **body}
    more = {"content_type": "application/json"} if form == "json" else {}
    answer = app.browser.post(path, values, headers=header, **more)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert ("WWW-Authenticate" in answer.headers) is bool(header)


def test_one_client_may_be_named_in_header_and_body(app):
    answer = app.browser.post("/oauth/revoke", {"client_id": "shop", "token": "x"}, headers=basic("shop"))

    assert answer.status_code == 200
