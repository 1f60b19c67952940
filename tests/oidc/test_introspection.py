"""Introspection: the state of a token is disclosed to its app and its API alone."""

from __future__ import annotations

import pytest

from regulars.clients.models import ClientGrant
from regulars.profiles.models import Profile
from tests.oidc.app import App, make_client

NOTHING = {"active": False}


def ask(app, token, **more):
    body = {"client_id": app.client_id, "client_secret": app.secret, "token": token, **more}
    return app.browser.post("/oauth/introspect", {name: value for name, value in body.items() if value is not None})


@pytest.fixture
def tokens(signed_in, orders):
    return signed_in.tokens(scope="openid offline_access read:orders", audience=orders.identifier)


def test_introspection_answers_the_tokens_own_app(signed_in, tokens, customer, orders):
    access = ask(signed_in, tokens["access_token"]).json()
    refresh = ask(signed_in, tokens["refresh_token"], token_type_hint="refresh_token").json()

    assert (access["active"], access["sub"], access["client_id"]) == (True, customer.user_id, "shop")
    assert (access["scope"], access["token_type"]) == ("openid offline_access read:orders", "Bearer")
    assert orders.identifier in access["aud"]
    assert (refresh["active"], refresh["sub"]) == (True, customer.user_id)


def test_introspection_answers_the_audience_and_no_other_app(signed_in, tokens, orders):
    api = App(signed_in.browser, make_client("orders-api", grant_types=["client_credentials"]).pk)
    other = App(signed_in.browser, make_client("other").pk)
    ClientGrant.objects.create(client_id="orders-api", resource_server=orders, scopes=[])

    assert ask(api, tokens["access_token"]).json()["active"] is True
    assert ask(api, tokens["refresh_token"]).json() == NOTHING
    assert ask(other, tokens["access_token"]).json() == NOTHING
    assert ask(other, tokens["refresh_token"]).json() == NOTHING


def test_what_is_over_is_worth_nothing(signed_in, tokens, customer):
    signed_in.browser.post(
        "/oauth/revoke", {"client_id": "shop", "client_secret": signed_in.secret, "token": tokens["refresh_token"]}
    )

    assert ask(signed_in, tokens["refresh_token"]).json() == NOTHING

    customer.blocked = True
    customer.save(update_fields=["blocked"])

    assert ask(signed_in, tokens["access_token"]).json() == NOTHING


def test_asking_about_a_used_token_ends_nothing(signed_in, tokens):
    second = signed_in.refresh(tokens["refresh_token"]).json()["refresh_token"]

    assert ask(signed_in, tokens["refresh_token"]).json() == NOTHING
    assert ask(signed_in, second).json()["active"] is True


@pytest.mark.parametrize("nonsense", ["x", "a.b.c", "é", "e30.e30."])
def test_nonsense_is_worth_nothing(signed_in, nonsense):
    assert ask(signed_in, nonsense).json() == NOTHING


def test_an_id_token_is_no_token_to_ask_about(signed_in, tokens):
    assert ask(signed_in, tokens["id_token"]).json() == NOTHING


def test_introspection_requires_client_authentication(signed_in, tokens):
    make_client("spa", auth_method="none", secret_hash="")

    assert ask(signed_in, tokens["access_token"], client_secret="wrong").status_code == 401
    assert ask(App(signed_in.browser, "spa", secret=None), tokens["access_token"]).status_code == 401
    assert ask(signed_in, None).json()["error"] == "invalid_request"


def test_blocked_customer_whose_provider_chose_an_id_like_a_clients_is_worth_nothing(signed_in, customer):
    """`sub` of a machine's token ends in @clients; an OpenID Connect provider may end its own ids in that, too."""
    customer.identities.update(provider_user_id="x@clients")
    Profile.objects.filter(pk=customer.pk).update(user_id="google-oauth2|x@clients")
    token = signed_in.tokens()["access_token"]

    assert ask(signed_in, token).json()["active"] is True

    Profile.objects.filter(pk=customer.pk).update(blocked=True)

    assert ask(signed_in, token).json() == NOTHING
