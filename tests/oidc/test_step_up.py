"""An app that requires two factors gets no code before the customer used both."""

from __future__ import annotations

import json
import re
import time
from html import unescape

import pytest

from regulars.accounts.factors import authenticator_codes
from regulars.clients.models import Client
from regulars.oauth.grant import DEVICE_CODE, PASSWORDLESS_OTP
from regulars.oauth.models import DeviceRequest
from tests.login.device import code_of
from tests.notices import send_device_code, send_page
from tests.oidc.app import App, came_back, id_claims, make_client, query_of, sign_in

MULTI_FACTOR = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"
ESSENTIAL = json.dumps({"id_token": {"acr": {"essential": True, "values": [MULTI_FACTOR]}}})


def with_second_factor(app, customer):
    sign_in(app.browser, customer, method="mfa", type="totp")


WISHES = [{"acr_values": MULTI_FACTOR}, {"acr_values": "other mfa"}]


@pytest.mark.parametrize("wanted", [*WISHES, {"claims": ESSENTIAL}])
def test_a_session_with_one_proof_is_sent_for_the_second_and_then_gets_its_code(signed_in, customer, wanted):
    sent = query_of(signed_in.authorize(**wanted)["Location"])
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
    assert "code" in app.answer(claims=ESSENTIAL)


@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_is_declined_by_going_on_and_the_token_has_no_acr(signed_in, wish):
    next_ = query_of(signed_in.authorize(**wish)["Location"])["next"]
    claims = id_claims(signed_in.exchange(came_back(signed_in.browser.get(next_))["code"]).json())

    assert "acr" not in claims
    assert "mfa" not in claims["amr"]


def test_a_demand_cannot_be_passed_and_gets_an_error_and_no_loop(signed_in):
    next_ = query_of(signed_in.authorize(claims=ESSENTIAL)["Location"])["next"]

    assert came_back(signed_in.browser.get(next_))["error"] == "unmet_authentication_requirements"


def test_a_wish_is_made_once_also_when_other_pages_follow(client, customer):
    make_client("bikes", first_party=False)
    sign_in(client, customer)
    bikes = App(client, "bikes")
    next_ = query_of(bikes.authorize(acr_values="mfa")["Location"])["next"]
    consent = client.get(next_)["Location"]
    back = came_back(send_page(client, consent, {"do": "allow"}))

    assert consent.startswith("/authorize/consent?")
    assert "code" in back


def test_a_demand_is_made_after_other_pages_too(client, customer):
    make_client("bikes", first_party=False)
    with_second_factor(App(client, "bikes"), customer)
    consent = App(client, "bikes").authorize(claims=ESSENTIAL)["Location"]
    sign_in(client, customer)
    away = send_page(client, consent, {"do": "allow"})

    assert query_of(away["Location"])["demanded"] == "1"


def test_a_silent_login_grants_no_wish_and_refuses_a_demand(signed_in):
    claims = id_claims(signed_in.exchange(signed_in.code(acr_values="mfa", prompt="none")).json())

    assert "acr" not in claims
    assert signed_in.answer(claims=ESSENTIAL, prompt="none")["error"] == "interaction_required"


def test_a_demand_beside_a_wish_is_a_demand(signed_in):
    away = query_of(signed_in.authorize(acr_values="mfa", claims=ESSENTIAL)["Location"])

    assert (away["acr_values"], away["demanded"]) == (MULTI_FACTOR, "1")


@pytest.mark.parametrize("how", [{"values": ["urn:silver"]}, {"value": "urn:silver"}])
def test_an_essential_acr_that_is_not_here_is_unmet(signed_in, how):
    claims = json.dumps({"id_token": {"acr": {"essential": True, **how}}})

    assert signed_in.answer(claims=claims)["error"] == "unmet_authentication_requirements"


def test_other_acr_values_change_nothing(signed_in):
    voluntary = json.dumps({"id_token": {"acr": {"values": ["mfa"]}}, "userinfo": {"email": None}})

    assert "code" in signed_in.answer(acr_values="urn:mace:incommon:iap:silver")
    assert "code" in signed_in.answer(claims=voluntary)


def follow(browser, url):
    """The page at which the browser ends; the address of its answer."""
    response = browser.get(url)
    while response.status_code == 302 and response["Location"].startswith("/"):
        url = response["Location"]
        response = browser.get(url)
    return response, url


def links_of(response):
    """Text of each link or button that leads somewhere → its address."""
    found = re.findall(r'<a[^>]* href="([^"]*)"[^>]*>([^<]+)</a>', response.content.decode())
    return {text: unescape(address) for address, text in found}


@pytest.mark.parametrize("age", [0, 7200])
def test_a_customer_without_a_second_factor_says_not_now(app, customer, age):
    sign_in(app.browser, customer, at=time.time() - age)
    page, _ = follow(app.browser, app.address(acr_values=MULTI_FACTOR))
    back = came_back(app.browser.get(links_of(page)["Not now"]))
    tokens = app.exchange(back["code"]).json()

    assert page.status_code == 200
    assert "acr" not in id_claims(tokens)


def test_a_customer_with_one_may_decline_a_wish_in_an_old_session(app, customer):
    sign_in(app.browser, customer)
    authenticator_codes.add_app(customer.account, secret := authenticator_codes.new_secret(), code_of(secret))
    page, url = follow(app.browser, app.address(acr_values=MULTI_FACTOR))
    demanded, there = follow(app.browser, app.address(claims=ESSENTIAL))

    assert "code" in came_back(app.browser.get(links_of(page)["Not now"]))
    assert (url.partition("?")[0], there.partition("?")[0]) == ("/second-factor", "/second-factor")
    assert "Not now" not in links_of(demanded)


def test_a_customer_cannot_decline_a_demand_and_finds_back_to_the_app(app, customer):
    sign_in(app.browser, customer)
    page, url = follow(app.browser, app.address(claims=ESSENTIAL))
    back = came_back(app.browser.get(links_of(page)["Back to the app"]))

    assert url.startswith("/me/security/app?")
    assert "Not now" not in page.content.decode()
    assert back["error"] == "unmet_authentication_requirements"


@pytest.mark.parametrize(
    "claims", ["{", "[]", "7", "null", '{"id_token": 7}', '{"userinfo": {"email": 7}}', "[" * 3000]
)
def test_claims_that_are_no_claims_are_refused(signed_in, claims):
    assert signed_in.answer(claims=claims)["error"] == "invalid_request"


def test_an_organization_is_refused_and_not_forgotten_silently(signed_in):
    answer = signed_in.answer(organization="org_123")

    assert answer["error_description"] == "parameter organization is not allowed for this client"


@pytest.fixture
def strict(client, customer) -> App:
    """An app for which the operator demands two factors, in a browser where Chika has shown one."""
    make_client("strict", requires_second_factor=True, grant_types=["authorization_code", "refresh_token", DEVICE_CODE])
    sign_in(client, customer)
    return App(client, "strict", standard={"scope": "openid offline_access"})


def test_an_app_that_requires_two_factors_needs_to_ask_for_nothing(strict, customer):
    page, url = follow(strict.browser, strict.address())
    declined = came_back(strict.browser.get(links_of(page)["Back to the app"]))
    silent = strict.answer(prompt="none")
    wished = query_of(strict.authorize(acr_values="mfa")["Location"])
    with_second_factor(strict, customer)

    assert url.startswith("/me/security/app?")
    assert declined["error"] == "unmet_authentication_requirements"
    assert silent["error"] == "interaction_required"
    assert wished["demanded"] == "1"
    assert id_claims(strict.tokens())["acr"] == MULTI_FACTOR


def test_a_refresh_token_of_one_factor_ends_where_two_are_required(strict, customer):
    with_second_factor(strict, customer)
    strong = strict.tokens()["refresh_token"]
    Client.objects.update(requires_second_factor=False)
    sign_in(strict.browser, customer)
    weak = strict.tokens()["refresh_token"]
    Client.objects.update(requires_second_factor=True)

    assert strict.refresh(weak).json()["error"] == "mfa_required"
    assert strict.refresh(strong).status_code == 200


def test_a_device_gets_tokens_after_two_factors_only(strict, customer):
    codes = strict.browser.post("/oauth/device/code", {"client_id": "strict", "client_secret": strict.secret}).json()
    away = send_device_code(strict.browser, codes["user_code"])["Location"]
    early = strict.token(grant_type=DEVICE_CODE, device_code=codes["device_code"]).json()
    with_second_factor(strict, customer)
    send_device_code(strict.browser, codes["user_code"])
    DeviceRequest.objects.update(asked_at=None)

    assert away.startswith("/second-factor?demanded=1&next=%2Factivate%3Fuser_code")
    assert early["error"] == "authorization_pending"
    assert "access_token" in strict.token(grant_type=DEVICE_CODE, device_code=codes["device_code"]).json()


def test_a_mailed_code_alone_is_no_two_factors(client, standard_setup):
    make_client("strict", requires_second_factor=True, grant_types=[PASSWORDLESS_OTP])
    answer = App(client, "strict").token(grant_type=PASSWORDLESS_OTP, username="dina@example.com", otp="123456")

    assert (answer.status_code, answer.json()["error"]) == (400, "mfa_required")
