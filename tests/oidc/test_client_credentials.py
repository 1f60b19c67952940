"""A machine gets a token for an API it was granted, and no more than that."""

from __future__ import annotations

import pytest
from django.conf import settings

from regulars.base.tokens.jwt import verify
from regulars.base.tokens.kinds import TokenKind
from regulars.clients.models import ClientGrant
from tests.oidc.app import App, make_client


@pytest.fixture
def robot(client, orders) -> App:
    made = make_client("robot", grant_types=["client_credentials"])
    ClientGrant.objects.create(client=made, resource_server=orders, scopes=["read:orders"])
    return App(client, "robot")


def ask(robot, **more):
    return robot.token(grant_type="client_credentials", **{"audience": "https://orders.example/", **more})


def test_it_gets_what_it_was_granted(robot):
    tokens = ask(robot, as_json=True).json()
    claims = verify(tokens["access_token"], "https://orders.example/", kinds=[TokenKind.ACCESS])

    assert (tokens["scope"], tokens["expires_in"]) == ("read:orders", 7200)
    assert (claims["sub"], claims["azp"], claims["gty"]) == ("robot@clients", "robot", "client-credentials")
    assert claims["iss"] == settings.ISSUER
    assert "id_token" not in tokens


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"audience": "https://nowhere.example/"}, "invalid_target", "Service not found: https://nowhere.example/"),
        ({"audience": None}, "invalid_request", "No audience parameter was provided."),
        ({"scope": "read:orders write:orders"}, "invalid_scope", "Client has not been granted scopes: write:orders"),
    ],
)
def test_it_gets_nothing_else(robot, change, error, words):
    """The code is the standards', and Auth0's `access_denied` for a request of Auth0's SDKs."""
    answer, of_sdk = ask(robot, **change), ask(robot, auth0Client="e30=", **change)

    assert (answer.status_code, answer.json()) == (400, {"error": error, "error_description": words})
    assert (of_sdk.status_code, of_sdk.json()) == (403, {"error": "access_denied", "error_description": words})


def test_wrong_secret_gets_nothing(robot):
    assert ask(robot, client_secret="wrong").status_code == 401


def test_without_scopes_there_is_no_word_of_scopes(robot, orders):
    ClientGrant.objects.update(scopes=[])

    assert "scope" not in ask(robot).json()


def test_an_app_for_people_is_no_machine(app):
    answer = app.token(grant_type="client_credentials", audience="https://orders.example/")

    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
