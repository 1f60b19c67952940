from __future__ import annotations

import pytest

from regulars.clients.models import ResourceServer
from regulars.consent.refresh import refresh_views
from regulars.profiles.learn import NewFact, learn
from tests.oidc.app import App, make_client, sign_in


@pytest.fixture
def customer(chika):
    learn(
        chika,
        [
            NewFact("name", "Chika Okafor", "social", "google-oauth2"),
            NewFact("email", "chika@example.com", "verified", "google-oauth2"),
            NewFact("email_verified", True, "verified", "google-oauth2"),
        ],
    )
    refresh_views(chika)
    return chika


@pytest.fixture
def app(client, standard_setup) -> App:
    """The shop, before any sign-in."""
    make_client()
    return App(client)


@pytest.fixture
def signed_in(app, customer) -> App:
    """The shop in the browser of Chika, who has a session."""
    sign_in(app.browser, customer, method="socialaccount", provider="google", uid="1001")
    return app


@pytest.fixture
def orders(standard_setup) -> ResourceServer:
    return ResourceServer.objects.create(
        identifier="https://orders.example/", name="Orders", scopes=["read:orders", "write:orders"], token_lifetime=7200
    )
