"""The `claims` parameter: single claims beside the scopes, disclosed to whom the customer and the rules let have them."""

from __future__ import annotations

import json

import pytest

from regulars.base.tokens.jwt import verify
from regulars.oauth.models import AppGrant
from regulars.profiles.find import get_or_create_by_identity
from regulars.rules.save import save_rule
from tests.notices import send_page
from tests.oidc.app import App, came_back, fragment_of, id_claims, make_client, query_of, sign_in
from tests.oidc.test_public_keys import identify

ESSENTIAL_NAME = {"name": {"essential": True}}


def claims(**parts):
    return json.dumps(parts)


@pytest.fixture
def dov(standard_setup):
    return get_or_create_by_identity("auth0", "dov", connection="Username-Password-Authentication")[0]


def userinfo(app, tokens):
    answer = app.browser.get("/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_name_asked_of_userinfo_is_there_and_not_in_the_id_token(signed_in, customer):
    tokens = signed_in.tokens(scope="openid", claims=claims(userinfo=ESSENTIAL_NAME))

    assert userinfo(signed_in, tokens) == {"sub": customer.user_id, "name": "Chika Okafor"}
    assert "name" not in id_claims(tokens)
    assert tokens["scope"] == "openid"


def test_a_name_asked_of_the_id_token_is_there_and_not_in_userinfo(signed_in, customer):
    tokens = signed_in.tokens(scope="openid", claims=claims(id_token=ESSENTIAL_NAME))

    assert id_claims(tokens)["name"] == "Chika Okafor"
    assert userinfo(signed_in, tokens) == {"sub": customer.user_id}


@pytest.mark.parametrize("how", [None, {}, {"essential": False}, {"value": "Ana"}, {"values": ["Ana", "Bo"]}])
def test_a_claim_may_be_asked_in_every_form(signed_in, how):
    tokens = signed_in.tokens(scope="openid", claims=claims(userinfo={"name": how, "email": None}))

    assert set(userinfo(signed_in, tokens)) == {"sub", "name", "email"}


@pytest.mark.parametrize(
    "name", ["logins_count", "app_metadata", "identities", "user_metadata", "phone_verified", "name#ja", ""]
)
def test_what_is_no_claim_of_the_standard_is_never_disclosed(signed_in, name):
    tokens = signed_in.tokens(
        scope="openid", claims=claims(userinfo={name: {"essential": True}}, id_token={name: None})
    )

    assert set(userinfo(signed_in, tokens)) == {"sub"}
    assert name not in id_claims(tokens)


def test_what_is_not_known_is_left_out_and_no_error(signed_in):
    tokens = signed_in.tokens(scope="openid", claims=claims(userinfo={"website": {"essential": True}}))

    assert set(userinfo(signed_in, tokens)) == {"sub"}


def test_claims_without_the_openid_scope_disclose_nothing(signed_in, orders):
    asked = claims(userinfo=ESSENTIAL_NAME, id_token=ESSENTIAL_NAME)
    tokens = signed_in.tokens(scope="read:orders", audience=orders.identifier, claims=asked)

    assert "userinfo_claims" not in verify(tokens["access_token"])


@pytest.mark.parametrize(("kind", "reaches"), [("public", False), ("server", True)])
def test_a_value_that_tokens_may_not_show_stays_out(signed_in, customer, kind, reaches):
    """The gate that decides for scopes decides here: the value of a public write key is no claim."""
    identify(customer, kind)
    wanted = {"gender": {"essential": True}, "birthdate": None}
    tokens = signed_in.tokens(scope="openid", claims=claims(userinfo=wanted, id_token=wanted))

    assert ("gender" in userinfo(signed_in, tokens), "birthdate" in id_claims(tokens)) == (reaches, reaches)


def test_implicit_and_hybrid_answers_have_the_claims_too(client, customer):
    make_client("lock", grant_types=["authorization_code", "implicit"])
    sign_in(client, customer)
    lock = App(client, "lock", standard={"code_challenge": None, "code_challenge_method": None, "scope": "openid"})
    alone = fragment_of(lock.authorize(response_type="id_token", claims=claims(id_token=ESSENTIAL_NAME))["Location"])
    asked = claims(userinfo=ESSENTIAL_NAME)
    both = fragment_of(lock.authorize(response_type="code id_token token", claims=asked)["Location"])

    assert verify(alone["id_token"])["name"] == "Chika Okafor"
    assert "name" not in verify(both["id_token"])
    assert userinfo(lock, both)["name"] == "Chika Okafor"
    assert userinfo(lock, lock.exchange(both["code"], code_verifier=None).json())["name"] == "Chika Okafor"


def test_a_refreshed_token_discloses_the_same(signed_in):
    asked = claims(userinfo=ESSENTIAL_NAME, id_token={"email": None})
    tokens = signed_in.tokens(scope="openid offline_access", claims=asked)
    later = signed_in.refresh(signed_in.refresh(tokens["refresh_token"]).json()["refresh_token"]).json()

    assert userinfo(signed_in, later)["name"] == "Chika Okafor"
    assert id_claims(later)["email"] == "chika@example.com"


@pytest.fixture
def bikes(client, customer) -> App:
    """A third-party app, with the consent of Chika for scope openid alone."""
    make_client("bikes", first_party=False)
    sign_in(client, customer)
    AppGrant.objects.create(profile=customer, client_id="bikes", scopes=["openid"])
    return App(client, "bikes", standard={"scope": "openid"})


@pytest.mark.parametrize("part", ["userinfo", "id_token"])
def test_a_third_party_app_needs_consent_to_single_claims(bikes, customer, part):
    asked = claims(**{part: {"name": None, "email": {"essential": True}}})
    silent = bikes.answer(claims=asked, prompt="none")
    page = bikes.authorize(claims=asked)["Location"]
    shown = bikes.browser.get(page).content.decode()
    back = came_back(send_page(bikes.browser, page, {"do": "allow"}))
    tokens = bikes.exchange(back["code"]).json()
    disclosed = userinfo(bikes, tokens) if part == "userinfo" else id_claims(tokens)

    assert "code" in bikes.answer()
    assert silent["error"] == "consent_required"
    assert "see your e-mail address" in shown
    assert "see your name, picture" in shown
    assert (disclosed["name"], disclosed["email"]) == ("Chika Okafor", "chika@example.com")
    assert AppGrant.objects.get().scopes == ["email", "openid", "profile"]


def test_a_third_party_app_that_is_refused_gets_nothing(bikes):
    page = bikes.authorize(claims=claims(userinfo=ESSENTIAL_NAME))["Location"]

    assert came_back(bikes.browser.post(page, {"do": "refuse"}))["error"] == "access_denied"


def test_a_rule_that_chooses_the_scopes_limits_single_claims(signed_in):
    asked = claims(userinfo={"name": None, "email": None}, id_token={"name": None, "email": None})
    script = "function (user, context, callback) { context.accessToken.scope = ['openid', 'email']; callback(null, user, context); }"
    save_rule("narrow", script=script)
    tokens = signed_in.tokens(scope="openid", claims=asked)

    assert "name" not in id_claims(tokens)
    assert set(userinfo(signed_in, tokens)) == {"sub", "email", "email_verified"}


def test_a_rule_cannot_name_further_claims_in_a_token(bikes):
    script = "function (user, context, callback) { context.accessToken.userinfo_claims = ['email']; callback(null, user, context); }"
    save_rule("widen", script=script)

    assert set(userinfo(bikes, bikes.tokens())) == {"sub"}


@pytest.mark.parametrize("part", ["userinfo", "id_token"])
@pytest.mark.parametrize("how", ["value", "values"])
def test_a_requested_sub_is_the_only_customer_who_gets_in(signed_in, customer, dov, part, how):
    def only(person):
        return claims(**{part: {"sub": {how: person.user_id if how == "value" else [person.user_id]}}})

    assert "code" in signed_in.answer(claims=only(customer))
    assert signed_in.answer(claims=only(dov), prompt="none")["error"] == "login_required"
    away = query_of(signed_in.authorize(claims=only(dov))["Location"])
    assert away["prompt"] == "login"
    assert came_back(signed_in.browser.get(away["next"]))["error"] == "login_required"


def test_a_sub_and_a_hint_of_two_people_let_no_one_in(signed_in, customer, dov):
    hint = signed_in.tokens()["id_token"]
    answer = signed_in.answer(
        claims=claims(id_token={"sub": {"value": dov.user_id}}), id_token_hint=hint, prompt="none"
    )

    assert answer["error"] == "login_required"


@pytest.mark.parametrize("sub", ["nobody", "", "auth0|7"])
def test_a_sub_of_no_one_lets_no_one_in(signed_in, sub):
    answer = signed_in.answer(claims=claims(id_token={"sub": {"value": sub}}), prompt="none")

    assert answer.get("error") == ("login_required" if sub else None)


@pytest.mark.parametrize("subs", [["a", "b"], ["nul\0"], ["x" * 256]])
def test_an_impossible_sub_is_refused(signed_in, subs):
    assert signed_in.answer(claims=claims(id_token={"sub": {"values": subs}}))["error"] == "invalid_request"


def test_discovery_says_so(client, standard_setup):
    assert client.get("/.well-known/openid-configuration").json()["claims_parameter_supported"] is True


def test_app_without_consent_learns_nothing_of_who_is_signed_in(client, customer, dov):
    """With `prompt=none` it could try one user id after another in a hidden frame."""
    make_client("bikes", first_party=False)
    sign_in(client, customer)
    bikes = App(client, "bikes", standard={"scope": "openid", "prompt": "none"})
    answers = [
        bikes.answer(claims=claims(id_token={"sub": {"value": sub}}))
        for sub in (customer.user_id, dov.user_id, "nobody")
    ]

    assert answers == [answers[0]] * 3
    assert answers[0]["error"] == "consent_required"
