"""An app that requires two factors gets no code before the customer used both."""

from __future__ import annotations

import json

import pytest

from tests.oidc.app import came_back, id_claims, query_of, sign_in

MULTI_FACTOR = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"
ESSENTIAL = json.dumps({"id_token": {"acr": {"essential": True, "values": [MULTI_FACTOR]}}})


def with_second_factor(app, customer):
    sign_in(app.browser, customer, method="mfa", type="totp")


@pytest.mark.parametrize("wish", [{"acr_values": MULTI_FACTOR}, {"acr_values": "other mfa"}, {"claims": ESSENTIAL}])
def test_a_session_with_one_proof_is_sent_for_the_second_and_then_gets_its_code(signed_in, customer, wish):
    sent = query_of(signed_in.authorize(**wish)["Location"])
    with_second_factor(signed_in, customer)
    back = came_back(signed_in.browser.get(sent["next"]))
    claims = id_claims(signed_in.exchange(back["code"]).json())

    assert sent["acr_values"] == MULTI_FACTOR
    assert "prompt" not in sent
    assert "mfa" in claims["amr"]
    assert claims["acr"] == MULTI_FACTOR


def test_a_second_factor_in_the_session_is_not_asked_again(app, customer):
    with_second_factor(app, customer)

    assert "code" in app.answer(acr_values="mfa")


def test_returning_without_a_second_factor_gets_an_error_and_no_loop(signed_in):
    next_ = query_of(signed_in.authorize(acr_values="mfa")["Location"])["next"]

    assert came_back(signed_in.browser.get(next_))["error"] == "unmet_authentication_requirements"


def test_a_silent_login_cannot_show_it(signed_in):
    assert signed_in.answer(acr_values="mfa", prompt="none")["error"] == "interaction_required"


def test_other_acr_values_change_nothing(signed_in):
    voluntary = json.dumps({"id_token": {"acr": {"values": ["mfa"]}}, "userinfo": {"email": None}})

    assert "code" in signed_in.answer(acr_values="urn:mace:incommon:iap:silver")
    assert "code" in signed_in.answer(claims=voluntary)


@pytest.mark.parametrize(
    "claims", ["{", "[]", "7", "null", '{"id_token": 7}', '{"userinfo": {"email": 7}}', "[" * 3000]
)
def test_claims_that_are_no_claims_are_refused(signed_in, claims):
    assert signed_in.answer(claims=claims)["error"] == "invalid_request"


def test_an_organization_is_refused_and_not_forgotten_silently(signed_in):
    answer = signed_in.answer(organization="org_123")

    assert answer["error_description"] == "parameter organization is not allowed for this client"
