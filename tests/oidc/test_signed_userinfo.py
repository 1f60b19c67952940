"""An app that registered `userinfo_signed_response_alg` gets /userinfo as a signed token (OpenID Connect Core 5.3.2)."""

from __future__ import annotations

import pytest
from django.conf import settings
from joserfc import jws, jwt
from joserfc.jwk import KeySet

from regulars.rules.save import save_rule
from tests.oidc.app import App, make_client, sign_in


@pytest.fixture
def careful(client, customer) -> App:
    make_client("careful", userinfo_algorithm="RS256")
    sign_in(client, customer)
    return App(client, "careful")


def userinfo(app, token, by_post=False):
    if by_post:
        return app.browser.post("/userinfo", f"access_token={token}", content_type="application/x-www-form-urlencoded")
    return app.browser.get("/userinfo", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("by_post", [False, True])
def test_the_answer_is_signed_by_our_published_key(careful, customer, by_post):
    answer = userinfo(careful, careful.tokens()["access_token"], by_post)
    keys = KeySet.import_key_set(careful.browser.get("/.well-known/jwks.json").json())
    token = jwt.decode(answer.content.decode(), keys, algorithms=["RS256"])

    assert (answer.status_code, answer["Content-Type"], answer["Cache-Control"]) == (200, "application/jwt", "no-store")
    assert (token.claims["iss"], token.claims["aud"], token.claims["sub"]) == (
        settings.ISSUER,
        "careful",
        customer.user_id,
    )
    assert (token.claims["name"], token.claims["email"]) == ("Chika Okafor", "chika@example.com")
    assert not {"nonce", "exp", "scope", "sid"} & set(token.claims)


def test_its_other_answers_are_as_everyones(careful):
    assert userinfo(careful, "x").status_code == 401
    assert userinfo(careful, "x")["Content-Type"].startswith("text/plain")


def test_other_apps_get_json(careful):
    make_client("shop")
    shop = App(careful.browser)

    assert userinfo(shop, shop.tokens()["access_token"])["Content-Type"] == "application/json"


def test_it_is_no_id_token_and_no_access_token(careful):
    signed = userinfo(careful, careful.tokens()["access_token"]).content.decode()
    hinted = careful.browser.get(
        "/oidc/logout", {"id_token_hint": signed, "post_logout_redirect_uri": "https://shop.example/"}
    )
    asked = careful.browser.post(
        "/oauth/introspect", {"client_id": "careful", "client_secret": careful.secret, "token": signed}
    )

    assert userinfo(careful, signed).status_code == 401
    assert asked.json() == {"active": False}
    assert hinted.get("Location") != "https://shop.example/"
    assert jws.extract_compact(signed.encode()).headers()["typ"] == "userinfo+jwt"


def test_rules_add_claims_and_replace_none_of_the_protocol(careful):
    save_rule(
        "claims",
        script="""function (user, context, callback) {
            context.idToken['https://shop.example/vip'] = true;
            context.idToken.aud = 'other'; context.idToken.iss = 'other'; context.idToken.exp = 1;
            callback(null, user, context); }""",
    )
    claims = jws.extract_compact(userinfo(careful, careful.tokens()["access_token"]).content)
    text = claims.payload.decode()

    assert '"https://shop.example/vip":true' in text.replace(" ", "")
    assert '"other"' not in text
    assert '"exp"' not in text


def test_discovery_names_the_algorithm(client, standard_setup):
    found = client.get("/.well-known/openid-configuration").json()

    assert found["userinfo_signing_alg_values_supported"] == ["RS256"]
