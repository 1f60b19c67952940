"""Apps register themselves where the operator allows it, and get no data of a customer without consent."""

from __future__ import annotations

import json

import pytest

from regulars.clients.models import Client
from tests.oidc.app import CALLBACK, App, sign_in

BIKES = {"client_name": "Bikes & Co", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post"}


@pytest.fixture
def _open(settings):
    settings.DYNAMIC_REGISTRATION = True


def register(client, body=BIKES):
    data = body if isinstance(body, bytes) else json.dumps(body)
    return client.post("/oidc/register", data, content_type="application/json")


def test_it_is_closed_until_the_operator_opens_it(client, standard_setup):
    answer = register(client)
    found = client.get("/.well-known/openid-configuration").json()

    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
    assert "registration_endpoint" not in found
    assert not Client.objects.exists()


@pytest.mark.usefixtures("_open")
def test_an_app_that_registered_itself_needs_consent(client, customer):
    made = register(client)
    bikes = App(client, made.json()["client_id"], secret=made.json()["client_secret"])
    sign_in(client, customer)

    assert made.status_code == 201
    assert bikes.authorize()["Location"].startswith("/authorize/consent?")
    assert bikes.answer(prompt="none")["error"] == "consent_required"
    assert "registration_endpoint" in client.get("/.well-known/openid-configuration").json()


@pytest.mark.usefixtures("_open")
@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "invalid_client_metadata"),
        (b"[]", "invalid_client_metadata"),
        (b"\xff", "invalid_client_metadata"),
        (b"x" * 70_000, "invalid_client_metadata"),
        ({}, "invalid_client_metadata"),
        ({**BIKES, "client_name": 7}, "invalid_client_metadata"),
        ({**BIKES, "client_name": "nul\0"}, "invalid_client_metadata"),
        ({**BIKES, "redirect_uris": "x"}, "invalid_client_metadata"),
        ({**BIKES, "redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({**BIKES, "grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({**BIKES, "grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({**BIKES, "jwks": {"keys": [7]}}, "invalid_client_metadata"),
        ({**BIKES, "token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
    ],
)
def test_what_it_may_not_be_is_refused_by_name(client, standard_setup, body, error):
    answer = register(client, body)

    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert not Client.objects.exists()
