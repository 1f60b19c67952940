"""Tokens straight from /authorize: for express-openid-connect, Lock and auth0-js, and only for apps that opted in."""

from __future__ import annotations

import base64
import hashlib

import pytest
from django.conf import settings

from regulars.base.tokens.jwt import verify
from regulars.rules.save import save_rule
from tests.oidc.app import (
    CALLBACK,
    App,
    came_back,
    form_of,
    fragment_of,
    make_client,
    message_of,
    query_of,
    sign_in,
)


@pytest.fixture
def lock(client, customer) -> App:
    """An app that opted in, in the browser of Chika, who has a session. It brings no PKCE, as auth0-js does not."""
    make_client("lock", grant_types=["authorization_code", "implicit", "refresh_token"])
    sign_in(client, customer)
    no_challenge = {"code_challenge": None, "code_challenge_method": None}
    return App(client, "lock", standard={"response_type": "token id_token", **no_challenge})


def fragment(response):
    assert response.status_code == 302, response.content
    assert not query_of(response["Location"])
    return fragment_of(response["Location"])


def left_half(value):
    return base64.urlsafe_b64encode(hashlib.sha256(value.encode()).digest()[:16]).rstrip(b"=").decode()


def test_tokens_come_in_the_fragment_and_belong_together(lock, customer):
    answer = fragment(lock.authorize())
    claims = verify(answer["id_token"], "lock", typ="jwt")

    assert (claims["sub"], claims["nonce"]) == (customer.user_id, "n1")
    assert claims["at_hash"] == left_half(answer["access_token"])
    assert "c_hash" not in claims
    assert (answer["token_type"], answer["state"], answer["iss"]) == ("Bearer", "s1", settings.ISSUER)
    assert answer["expires_in"] == "7200"
    assert "code" not in answer


def test_the_order_of_the_words_does_not_matter(lock):
    assert {"access_token", "id_token"} <= set(fragment(lock.authorize(response_type="id_token token")))


def test_an_access_token_alone_opens_userinfo_for_two_hours(lock, customer):
    answer = fragment(lock.authorize(response_type="token", nonce=None))
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    userinfo = lock.browser.get("/userinfo", headers=bearer).json()

    assert "id_token" not in answer
    assert userinfo["sub"] == customer.user_id


def test_an_id_token_alone_by_form_is_what_express_asks_for(lock, customer):
    response = lock.authorize(response_type="id_token", response_mode="form_post")
    fields = form_of(response)
    claims = verify(fields["id_token"], "lock", typ="jwt")

    assert (claims["email"], fields["state"]) == ("chika@example.com", "s1")
    assert "at_hash" not in claims
    assert f'action="{CALLBACK}"' in response.content.decode()
    assert "access_token" not in fields


def test_a_message_carries_tokens_to_the_app_and_to_no_other_window(lock):
    message, origin = message_of(lock.authorize(response_mode="web_message", prompt="none"))

    assert {"access_token", "id_token", "expires_in", "state"} <= set(message["response"])
    assert origin == "https://shop.example"


@pytest.mark.parametrize("types", ["code id_token", "code token id_token"])
def test_a_hybrid_answer_holds_a_code_to_its_id_token(lock, types):
    answer = fragment(lock.authorize(response_type=types))
    claims = verify(answer["id_token"], "lock", typ="jwt")
    later = lock.exchange(answer["code"], code_verifier=None).json()

    assert claims["c_hash"] == left_half(answer["code"])
    assert ("at_hash" in claims) == ("token" in types.split())
    assert verify(later["id_token"], "lock")["sub"] == claims["sub"]


def test_a_code_and_a_token_need_no_nonce(lock):
    answer = fragment(lock.authorize(response_type="code token", nonce=None))

    assert {"code", "access_token"} <= set(answer)
    assert "id_token" not in answer


def test_offline_access_is_for_codes(lock):
    alone = fragment(lock.authorize(scope="openid offline_access"))
    with_code = fragment(lock.authorize(scope="openid offline_access", response_type="code id_token"))

    assert alone["scope"] == "openid"
    assert "refresh_token" in lock.exchange(with_code["code"], code_verifier=None).json()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"nonce": None}, "invalid_request"),
        ({"scope": "profile"}, "invalid_request"),
        ({"response_mode": "query"}, "invalid_request"),
        ({"audience": "https://nowhere.example/"}, "access_denied"),
    ],
)
def test_errors_of_the_implicit_flow_are_in_the_fragment(lock, change, error):
    answer = fragment(lock.authorize(**change))

    assert (answer["error"], answer["state"]) == (error, "s1")


def test_an_app_that_did_not_opt_in_gets_no_tokens_from_the_browser(signed_in):
    answer = fragment(signed_in.authorize(response_type="id_token"))

    assert answer["error"] == "unauthorized_client"
    assert answer["error_description"] == "Grant type 'implicit' is not allowed for the client."


def test_an_app_without_codes_gets_none_beside_its_tokens(lock):
    make_client("old", grant_types=["implicit"])

    assert fragment(lock.authorize(client_id="old"))["token_type"] == "Bearer"
    assert fragment(lock.authorize(client_id="old", response_type="code token"))["error"] == "unauthorized_client"


def test_a_public_app_that_asks_for_a_code_too_brings_a_challenge(lock):
    make_client("spa", auth_method="none", secret_hash="", grant_types=["authorization_code", "implicit"])

    assert fragment(lock.authorize(client_id="spa"))["token_type"] == "Bearer"
    assert fragment(lock.authorize(client_id="spa", response_type="code token"))["error"] == "invalid_request"


def test_the_id_token_of_a_fragment_is_a_logout_hint(lock):
    lock.browser.get("/oidc/logout", {"id_token_hint": fragment(lock.authorize())["id_token"]})

    assert fragment(lock.authorize(prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize(
    ("types", "word"),
    [("code", "oidc-basic-profile"), ("token", "oidc-implicit-profile"), ("code token", "oidc-hybrid-profile")],
)
def test_rules_hear_which_way_the_tokens_go(lock, types, word):
    save_rule("way", script="(user, context, cb) => cb(new UnauthorizedError(context.protocol))")
    response = lock.authorize(response_type=types)

    assert came_back(response)["error_description"] == word


def test_discovery_names_what_an_app_may_ask_for(client, standard_setup):
    found = client.get("/.well-known/openid-configuration").json()

    assert {"code", "id_token", "token id_token", "code token id_token"} <= set(found["response_types_supported"])
    assert "implicit" in found["grant_types_supported"]
