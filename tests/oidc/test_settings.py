"""What an app and an API are set to is what tokens become."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from regulars.base.tokens.jwt import verify
from regulars.clients.models import ClientGrant, ResourceServer
from regulars.oauth.models import AppGrant, RefreshFamily, RefreshToken
from tests.notices import send_page
from tests.oidc.app import App, came_back, make_client, sign_in

OFFLINE = "openid offline_access read:orders"


@pytest.fixture
def strict(standard_setup):
    return ResourceServer.objects.create(
        identifier="https://bank.example/",
        name="Bank",
        scopes=["read:orders"],
        scope_words={"read:orders": "See what you bought"},
        token_dialect="access_token_authz",
        allow_offline_access=False,
        skip_consent=False,
    )


def seconds_left(row):
    return (row.expires_at - timezone.now()).total_seconds()


def test_a_client_sets_absolute_and_idle_lifetimes_of_offline_access(client, customer):
    make_client("short", refresh={"token_lifetime": 3600, "idle_token_lifetime": 60})
    sign_in(client, customer)
    App(client, "short").tokens(scope="openid offline_access")

    assert 3500 < seconds_left(RefreshFamily.objects.get()) <= 3600
    assert 0 < seconds_left(RefreshToken.objects.get()) <= 60


def test_the_overlap_of_an_app_lets_a_used_token_pass_for_that_long(client, customer):
    make_client("patient", refresh={"leeway": 10})
    sign_in(client, customer)
    patient = App(client, "patient")
    token = patient.tokens(scope="openid offline_access")["refresh_token"]
    patient.refresh(token)

    assert patient.refresh(token).status_code == 200

    RefreshToken.objects.exclude(used_at=None).update(used_at=timezone.now() - dt.timedelta(seconds=11))

    assert patient.refresh(token).status_code == 400


def test_an_api_that_allows_no_offline_access_gives_no_refresh_token(signed_in, customer, strict):
    AppGrant.objects.create(profile=customer, client_id="shop", audience=strict.identifier, scopes=OFFLINE.split())
    tokens = signed_in.tokens(audience=strict.identifier, scope=OFFLINE)

    assert tokens["scope"] == "openid read:orders"
    assert "refresh_token" not in tokens


def test_an_api_that_wants_to_be_asked_for_is_asked_for_even_by_our_own_app(signed_in, strict):
    asked = signed_in.authorize(audience=strict.identifier, scope="openid read:orders")
    page = signed_in.browser.get(asked["Location"])
    allowed = send_page(signed_in.browser, asked["Location"], {"do": "allow"})

    assert "See what you bought" in page.content.decode()
    assert "code" in came_back(allowed)


def test_permissions_stand_in_the_tokens_of_an_api_that_reads_them(client, strict):
    robot = make_client("robot", grant_types=["client_credentials"])
    ClientGrant.objects.create(client=robot, resource_server=strict, scopes=["read:orders"])
    answer = App(client, "robot").token(grant_type="client_credentials", audience=strict.identifier)

    assert verify(answer.json()["access_token"])["permissions"] == ["read:orders"]


def test_permissions_of_a_token_are_what_the_customer_allowed(signed_in, orders):
    ResourceServer.objects.update(token_dialect="access_token_authz")
    tokens = signed_in.tokens(audience=orders.identifier, scope="openid read:orders")

    assert verify(tokens["access_token"])["permissions"] == ["read:orders"]
