"""From /authorize to a customer's claims and out again."""

from __future__ import annotations

import time

import pytest
from django.conf import settings

from regulars.accounts.models import Account
from regulars.base.tokens.jwt import verify
from regulars.base.tokens.kinds import TokenKind
from tests.oidc.app import CALLBACK, SECRET, App, came_back, id_claims, make_client, query_of, sign_in


def test_a_live_session_gets_a_code_and_tokens_of_the_customer(signed_in, customer):
    answer = signed_in.answer()
    tokens = signed_in.exchange(answer["code"]).json()
    claims = id_claims(tokens)

    assert (answer["state"], answer["iss"]) == ("s1", settings.ISSUER)
    assert (claims["sub"], claims["aud"], claims["nonce"]) == (customer.user_id, "shop", "n1")
    assert (claims["name"], claims["email"], claims["email_verified"]) == ("Chika Okafor", "chika@example.com", True)
    assert claims["amr"] == ["fed"]
    assert 0 <= time.time() - claims["auth_time"] < 600
    assert len(claims["sid"]) == 32
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 86400, "openid profile email")
    assert "refresh_token" not in tokens


def test_userinfo_discloses_what_the_scopes_allow(signed_in, customer):
    tokens = signed_in.tokens(scope="openid email")
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    by_get = signed_in.browser.get("/userinfo", headers=bearer)
    form = "application/x-www-form-urlencoded"
    by_post = signed_in.browser.post("/userinfo", f"access_token={tokens['access_token']}", content_type=form)

    assert by_get.json() == {"sub": customer.user_id, "email": "chika@example.com", "email_verified": True}
    assert by_post.json()["sub"] == customer.user_id
    assert by_get["Access-Control-Allow-Origin"] == "*"


def test_userinfo_without_a_token_is_auth0s_plain_word(client, db):
    answer = client.get("/userinfo")

    assert (answer.status_code, answer.content) == (401, b"Unauthorized")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_without_a_session_sign_in_follows_with_return_address_and_hints(app):
    response = app.authorize(login_hint="chika@example.com", screen_hint="signup", connection="google-oauth2")
    sent = query_of(response["Location"])

    assert response["Location"].startswith("/login?")
    assert sent["next"].startswith("/authorize?client_id=shop&")
    assert (sent["login_hint"], sent["screen_hint"], sent["connection"]) == (
        "chika@example.com",
        "signup",
        "google-oauth2",
    )


def test_the_way_back_from_signing_in_ends_at_the_app(app, customer):
    next_ = query_of(app.authorize()["Location"])["next"]
    sign_in(app.browser, customer)

    assert "code" in came_back(app.browser.get(next_))


def test_staff_are_no_customers_and_cause_no_redirect_loop(app, standard_setup):
    app.browser.force_login(Account.objects.create_staff("bruno@shop.example", "a long password"))
    first = app.authorize()
    second = app.browser.get(query_of(first["Location"])["next"])

    assert first["Location"].startswith("/login?")
    assert came_back(second)["error"] == "login_required"


def test_logout_ends_the_session_and_returns_to_a_registered_address(signed_in):
    response = signed_in.browser.get("/v2/logout", {"client_id": "shop", "returnTo": "https://shop.example/"})

    assert response["Location"] == "https://shop.example/"
    assert signed_in.answer(prompt="none")["error"] == "login_required"


def test_a_request_by_post_is_as_good(signed_in):
    response = signed_in.browser.post("/authorize", query_of(signed_in.address()))

    assert "code" in came_back(response)


def test_an_app_without_a_secret_redeems_with_its_verifier_alone(client, customer):
    make_client("spa", auth_method="none", secret_hash="")
    spa = App(client, "spa", secret="")
    sign_in(client, customer)

    assert "id_token" in spa.tokens()


@pytest.mark.parametrize("how", ["form", "json", "basic"])
def test_a_secret_may_come_in_a_form_in_json_or_in_the_header(signed_in, how):
    code = signed_in.code()
    if how == "basic":
        import base64

        word = base64.b64encode(f"shop:{SECRET}".encode()).decode()
        body = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": "v" * 43}
        response = signed_in.browser.post("/oauth/token", body, headers={"Authorization": f"Basic {word}"})
    else:
        response = signed_in.exchange(code, as_json=how == "json")

    assert response.status_code == 200, response.content


def test_an_api_gets_a_token_of_its_own(signed_in, orders, customer):
    tokens = signed_in.tokens(audience=orders.identifier, scope="openid read:orders delete:everything")
    claims = verify(tokens["access_token"], orders.identifier, kinds=[TokenKind.ACCESS])

    assert claims["aud"] == [orders.identifier, settings.ISSUER + "userinfo"]
    assert (claims["scope"], claims["azp"], claims["sub"]) == ("openid read:orders", "shop", customer.user_id)
    assert tokens["expires_in"] == 7200


def test_without_an_api_the_token_is_good_for_userinfo_only(signed_in):
    claims = verify(signed_in.tokens()["access_token"], kinds=[TokenKind.ACCESS])

    assert claims["aud"] == settings.ISSUER + "userinfo"


def test_an_api_that_is_not_there_is_named_to_the_app(signed_in):
    answer = signed_in.answer(audience="https://nowhere.example/")

    assert answer["error"] == "access_denied"
    assert answer["error_description"] == "Service not found: https://nowhere.example/"


def test_discovery_names_the_endpoints_and_the_keys_check_the_tokens(client, standard_setup):
    found = client.get("/.well-known/openid-configuration").json()
    keys = client.get("/.well-known/jwks.json").json()["keys"]

    assert found["issuer"] == settings.ISSUER
    assert found["token_endpoint"] == settings.ISSUER + "oauth/token"
    assert [key["kty"] for key in keys] == ["RSA", "RSA"]
    assert "d" not in keys[0]


@pytest.mark.parametrize("path", ["/oauth/token", "/userinfo", "/.well-known/jwks.json", "/oauth/revoke"])
def test_scripts_of_apps_may_ask_after_a_preflight(client, path):
    answer = client.options(path, headers={"Access-Control-Request-Headers": "auth0-client"})

    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "Auth0-Client" in answer["Access-Control-Allow-Headers"]
