"""A code or refresh token that is used twice ends all that came from it, access tokens too."""

from __future__ import annotations

import datetime as dt

import pytest
from django.conf import settings

from regulars.base.tokens.jwt import verify
from regulars.clients.models import Client, ClientGrant, ResourceServer
from regulars.oauth.consents import withdraw_consents
from regulars.oauth.expiry import delete_expired
from regulars.oauth.models import AppGrant, AuthorizationCode, RefreshFamily, RevokedGrant
from tests.oidc.app import SECRET, App, make_client, sign_in

OFFLINE = "openid offline_access"


def is_alive(app, token):
    """Whether /userinfo and introspection take the access token; they agree."""
    of_userinfo = app.browser.get("/userinfo", headers={"Authorization": f"Bearer {token}"})
    body = {"client_id": app.client_id, "client_secret": SECRET, "token": token}
    active = app.browser.post("/oauth/introspect", body).json()["active"]
    assert (of_userinfo.status_code == 200) is active
    if not active:
        assert 'error="invalid_token"' in of_userinfo["WWW-Authenticate"]
    return active


@pytest.mark.parametrize("scope", ["openid", OFFLINE])
def test_access_token_dies_when_its_code_is_used_again(signed_in, scope):
    code = signed_in.code(scope=scope)
    first = signed_in.exchange(code).json()
    other = signed_in.tokens(scope=scope)

    assert is_alive(signed_in, first["access_token"])
    assert signed_in.exchange(code).json()["error"] == "invalid_grant"
    assert not is_alive(signed_in, first["access_token"])
    assert is_alive(signed_in, other["access_token"])


def test_access_token_beside_a_code_dies_when_the_code_is_used_again(client, customer):
    """Who has the code of a hybrid answer has its access token too."""
    shop = make_client(grant_types=["authorization_code", "refresh_token", "implicit"])
    sign_in(client, customer)
    app = App(client, shop.pk)
    answer = app.answer(response_type="code token")
    app.exchange(answer["code"])

    assert is_alive(app, answer["access_token"])
    assert app.exchange(answer["code"]).json()["error"] == "invalid_grant"
    assert not is_alive(app, answer["access_token"])


def test_access_token_of_a_refresh_dies_when_the_code_is_used_again(signed_in):
    code = signed_in.code(scope=OFFLINE)
    first = signed_in.exchange(code).json()
    second = signed_in.refresh(first["refresh_token"]).json()
    signed_in.exchange(code)

    assert not is_alive(signed_in, first["access_token"])
    assert not is_alive(signed_in, second["access_token"])
    assert signed_in.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"


def test_access_tokens_die_when_a_refresh_token_is_used_again(signed_in):
    first = signed_in.tokens(scope=OFFLINE)
    second = signed_in.refresh(first["refresh_token"]).json()
    signed_in.refresh(first["refresh_token"])

    assert not is_alive(signed_in, first["access_token"])
    assert not is_alive(signed_in, second["access_token"])


def test_access_tokens_die_when_the_app_revokes_its_refresh_token(signed_in):
    """RFC 7009, 2.1."""
    tokens, other = signed_in.tokens(scope=OFFLINE), signed_in.tokens(scope=OFFLINE)
    body = {"client_id": "shop", "client_secret": SECRET, "token": tokens["refresh_token"]}
    signed_in.browser.post("/oauth/revoke", body)

    assert not is_alive(signed_in, tokens["access_token"])
    assert is_alive(signed_in, other["access_token"])


def test_a_replay_by_another_app_ends_nothing(signed_in):
    make_client("other")
    code = signed_in.code()
    first = signed_in.exchange(code).json()
    signed_in.exchange(code, client_id="other")

    assert is_alive(signed_in, first["access_token"])


def test_a_revoked_token_is_refused_by_the_other_apis(signed_in, customer):
    management, own = f"{settings.ISSUER}api/v2/", f"{settings.ISSUER}api/me/"
    ResourceServer.objects.create(identifier=management, name="Management", scopes=["update:current_user_identities"])
    ResourceServer.objects.create(identifier=own, name="Questions", scopes=["answer:questions"])
    paths = {management: f"/api/v2/users/{customer.user_id}/identities", own: "/api/me/question"}
    for audience, scope in ((management, "update:current_user_identities"), (own, "answer:questions")):
        code = signed_in.code(audience=audience, scope=scope)
        token = signed_in.exchange(code).json()["access_token"]
        before = call(signed_in, paths[audience], token)
        signed_in.exchange(code)
        after = call(signed_in, paths[audience], token)

        assert before.status_code != 401, audience
        assert (after.status_code, after.json()["errorCode"]) == (401, "invalid_token"), audience


def call(app, path, token):
    headers = {"Authorization": f"Bearer {token}"}
    return app.browser.post(path, "{}", content_type="application/json", headers=headers)


@pytest.mark.parametrize("days", [5, 29])
def test_a_replay_is_recognised_for_as_long_as_anything_from_the_code_lives(signed_in, days):
    """The offline access lives 30 days, and an access token from its last refresh a day longer."""
    code = signed_in.code(scope=OFFLINE)
    tokens = signed_in.exchange(code).json()
    pass_time(dt.timedelta(days=days))
    signed_in.exchange(code)

    assert signed_in.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert not is_alive(signed_in, tokens["access_token"])


def test_a_redeemed_code_keeps_no_data_and_goes_when_all_of_it_expired(signed_in):
    code = signed_in.code(scope=OFFLINE)
    signed_in.exchange(code)

    assert AuthorizationCode.objects.get().grant == {"answers": "openid"}

    signed_in.exchange(code)
    pass_time(dt.timedelta(days=33))

    assert not AuthorizationCode.objects.exists()
    assert not RevokedGrant.objects.exists()


def test_an_access_token_names_its_grant_and_rules_cannot_change_it(signed_in):
    tokens = signed_in.tokens(scope=OFFLINE)
    second = signed_in.refresh(tokens["refresh_token"]).json()
    grants = {verify(each["access_token"])["grant_id"] for each in (tokens, second)}

    assert grants == {RefreshFamily.objects.get().pk.hex}


def pass_time(passed):
    """Age what is stored, as if `passed` had gone by, and delete what has expired."""
    for model in (AuthorizationCode, RevokedGrant):
        for row in model.objects.all():
            model.objects.filter(pk=row.pk).update(expires_at=row.expires_at - passed)
    delete_expired()


def test_access_token_dies_with_its_app(signed_in):
    """Other apps, and an API that asks, see a token of no one."""
    token = signed_in.tokens()["access_token"]
    other = make_client("other")
    headers = {"Authorization": f"Bearer {token}"}
    assert signed_in.browser.get("/userinfo", headers=headers).status_code == 200
    api = ResourceServer.objects.create(identifier=f"{settings.ISSUER}userinfo", name="Claims")
    ClientGrant.objects.create(client=other, resource_server=api)
    body = {"client_id": "other", "client_secret": SECRET, "token": token}
    assert signed_in.browser.post("/oauth/introspect", body).json()["active"]

    Client.objects.filter(pk="shop").delete()

    assert signed_in.browser.get("/userinfo", headers=headers).status_code == 401
    assert signed_in.browser.post("/oauth/introspect", body).json() == {"active": False}


@pytest.mark.parametrize("by", ["customer", "id"])
def test_deleted_consent_ends_what_the_app_got_by_it_and_nothing_else(client, customer, orders, by):
    """The app must ask again: with its refresh token it would never have to."""
    make_client("bikes", first_party=False)
    sign_in(client, customer)
    bikes, shop = App(client, "bikes", standard={"scope": OFFLINE}), App(client, make_client().pk)
    consents = [
        AppGrant.objects.create(profile=customer, client_id="bikes", audience=audience, scopes=OFFLINE.split())
        for audience in ("", orders.identifier)
    ]
    gone, stays = bikes.tokens(), bikes.tokens(audience=orders.identifier)
    own, code = shop.tokens(scope=OFFLINE), bikes.code()

    if by == "id":
        withdraw_consents(AppGrant.objects.filter(pk=consents[0].pk))
    else:
        withdraw_consents(AppGrant.objects.filter(profile=customer, audience=""))

    userinfo = client.get("/userinfo", headers={"Authorization": f"Bearer {gone['access_token']}"})
    assert bikes.refresh(gone["refresh_token"]).json()["error"] == "invalid_grant"
    assert bikes.exchange(code).json()["error"] == "invalid_grant"
    assert userinfo.status_code == 401
    assert bikes.refresh(stays["refresh_token"]).status_code == 200
    assert shop.refresh(own["refresh_token"]).status_code == 200
