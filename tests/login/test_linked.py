"""Linked customers: sessions, offline access of apps, grants and passkeys of both belong to one until they are unlinked."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.test import Client as Browser
from tests.management_api.conftest import ApiClient, make_token
from tests.notices import send_page
from tests.oidc.app import App, id_claims, make_client

from regulars.accounts.factors import authenticator_codes
from regulars.base.jobs.models import Job
from regulars.base.jobs.run_jobs import run_due
from regulars.connections.models import Connection
from regulars.oauth.models import AppGrant
from regulars.profiles.models import Profile

from .conftest import PASSWORD
from .device import code_of
from .test_second_factor import add_passkey
from .test_social import LENA


@pytest.fixture
def shop(standard_setup):
    return make_client(backchannel_logout_uri="https://shop.example/out")


@pytest.fixture
def dina_browser(dina, shop) -> Browser:
    """Return the browser of Dina, who signed in with a password."""
    browser = Browser()
    browser.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    return browser


@pytest.fixture
def lena_browser(google, upstream, shop) -> Browser:
    """Return the browser of Lena, who signed in with Google."""
    browser = Browser()
    away = send_page(browser, "/login/google-oauth2?next=/me", {"claim": ["birthday"]})
    browser.get(upstream.decide(away["Location"], person=LENA))
    return browser


@pytest.fixture
def lena(lena_browser) -> Profile:
    return Profile.objects.get(user_id__startswith="google-oauth2|")


@pytest.fixture
def api_client(client, standard_setup) -> ApiClient:
    return ApiClient(client)


def link(api_client, lena, dina) -> None:
    key = dina.profile.user_id.partition("|")[2]
    path = f"/v2/users/{lena.user_id.replace('|', '%7C')}/identities"
    answer = api_client.call("POST", path, {"provider": "auth0", "user_id": key})

    assert answer.status_code == 201, answer.content


def unlink(api_client, lena, dina) -> None:
    key = dina.profile.user_id.partition("|")[2]
    path = f"/v2/users/{lena.user_id.replace('|', '%7C')}/identities/auth0/{key}"

    assert api_client.call("DELETE", path).status_code == 200


def offline(browser: Browser, client_id: str = "shop") -> App:
    app = App(browser, client_id=client_id)
    app.held = app.tokens(scope="openid profile email offline_access")
    return app


def renewed(app: App) -> dict:
    answer = app.refresh(app.held["refresh_token"])
    assert answer.status_code == 200, answer.content
    app.held = answer.json()
    return id_claims(app.held)


def userinfo(app: App) -> dict:
    answer = app.browser.get("/userinfo", headers={"Authorization": f"Bearer {app.held['access_token']}"})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_app_keeps_the_old_subject_and_receives_the_claims_of_the_linked_customer(dina_browser, dina, lena, api_client):
    app, subject = offline(dina_browser), dina.profile.user_id
    link(api_client, lena, dina)
    before = userinfo(app)
    claims = renewed(app)

    assert (claims["sub"], userinfo(app)["sub"], before["sub"]) == (subject, subject, subject)
    assert claims["name"] == userinfo(app)["name"] == before["name"] == "Lena Vogt"
    assert api_client.get(f"/v2/users/{subject.replace('|', '%7C')}")["user_id"] == lena.user_id

    unlink(api_client, lena, dina)
    claims = renewed(app)

    assert claims["sub"] == userinfo(app)["sub"] == subject
    assert claims["email"] == "dina@example.com"
    assert claims.get("name") != "Lena Vogt"


def test_block_applies_under_both_user_ids(dina_browser, dina, lena, api_client):
    app = offline(dina_browser)
    link(api_client, lena, dina)
    Profile.objects.filter(pk=lena.pk).update(blocked=True)

    assert app.refresh(app.held["refresh_token"]).status_code == 400
    token = {"Authorization": f"Bearer {app.held['access_token']}"}
    assert dina_browser.get("/userinfo", headers=token).status_code == 401


def test_session_of_the_linked_customer_goes_on_as_the_primary_one(dina_browser, lena_browser, dina, lena, api_client):
    app = App(dina_browser)
    session = id_claims(app.tokens())["sid"]
    link(api_client, lena, dina)
    claims = id_claims(app.tokens(prompt="none"))

    assert "Lena Vogt" in dina_browser.get("/me").content.decode()
    assert (claims["sub"], claims["sid"]) == (lena.user_id, session)
    assert dina_browser.get("/me/security").content.decode().count("127.0.0.1") == 2


def test_signing_out_everywhere_ends_tokens_under_either_user_id(dina_browser, lena_browser, dina, lena, api_client):
    as_dina, as_lena = offline(dina_browser), offline(lena_browser)
    link(api_client, lena, dina)
    lena_browser.post("/me/security/sessions/end", {"session": "others"})

    assert as_dina.refresh(as_dina.held["refresh_token"]).status_code == 400
    assert as_lena.refresh(as_lena.held["refresh_token"]).status_code == 200
    assert dina_browser.get("/me")["Location"].startswith("/login?")
    notified = [job.payload for job in Job.objects.filter(kind__contains="logout")]
    assert len(notified) == 1


def test_second_factor_of_either_is_required_and_ends_a_session_without_one(
    dina_browser, lena_browser, dina, lena, api_client, upstream
):
    secret = authenticator_codes.new_secret()
    authenticator_codes.add_app(lena.account, secret, code_of(secret, -1))
    link(api_client, lena, dina)

    assert dina_browser.get("/me")["Location"].startswith("/login?")

    step = dina_browser.post("/login?next=/me", {"email": "dina@example.com", "password": PASSWORD})
    dina_browser.post("/second-factor", {"code": code_of(secret)})

    assert step["Location"] == "/second-factor"
    assert "Lena Vogt" in dina_browser.get("/me").content.decode()


def test_passkey_of_the_linked_account_signs_in_and_returns_when_unlinked(
    dina_browser, lena_browser, dina, lena, api_client, upstream
):
    phone, browser = add_passkey(dina), Browser()
    link(api_client, lena, dina)
    browser.post("/passkey?next=/me", {"credential": phone.sign(browser.post("/passkey/options").json())})

    assert "Lena Vogt" in browser.get("/me").content.decode()
    assert "My phone" in browser.get("/me/security").content.decode()

    again = Browser()
    away = again.post("/login/google-oauth2?next=/me", {"claim": []})
    step = again.get(upstream.decide(away["Location"], person=LENA))
    options = again.post("/second-factor/options").json()
    again.post("/second-factor", {"credential": phone.sign(options)})

    assert (step["Location"], len(options["allowCredentials"])) == ("/second-factor", 1)
    assert "Lena Vogt" in again.get("/me").content.decode()

    unlink(api_client, lena, dina)
    later = Browser()
    later.post("/passkey?next=/me", {"credential": phone.sign(later.post("/passkey/options").json())})

    assert "dina@example.com" in later.get("/me").content.decode()
    assert not authenticator_codes.is_enrolled(lena.account)


def test_code_to_the_linked_address_signs_in_and_creates_no_profile(dina_browser, dina, lena, api_client, settings):
    Connection.objects.create(name="email", strategy="email", display_name="Code by e-mail")
    link(api_client, lena, dina)
    (before,) = api_client.get("/v2/users")
    browser = Browser()
    asked = browser.post("/code?next=/me", {"email": "dina@example.com"})
    run_due()
    digits = re.search(r"\b\d{6}\b", mail.outbox[-1].body)[0]
    browser.post(asked["Location"], {"digits": digits})

    assert "Lena Vogt" in browser.get("/me").content.decode()
    assert Profile.objects.filter(merged_into=None).count() == 1
    assert [each["email"] for each in api_client.get("/v2/users")] == [before["email"]]


def test_grant_of_the_linked_customer_counts_for_the_primary_one(dina_browser, dina, lena, api_client):
    make_client("partner", name="Bikes & Co", first_party=False)
    AppGrant.objects.create(
        profile=dina.profile, client_id="partner", audience="", scopes=["openid", "profile", "email"]
    )
    may = make_token("read:grants delete:grants create:users update:users")
    link(api_client, lena, dina)

    assert App(dina_browser, client_id="partner").authorize().status_code == 302
    assert "code" in App(dina_browser, client_id="partner").answer()
    for name in (lena.user_id, dina.profile.user_id):
        (grant,) = api_client.call("GET", "/v2/grants", token=may, user_id=name).json()
        assert grant["user_id"] == lena.user_id

    api_client.call("DELETE", "/v2/grants", token=may, user_id=lena.user_id)

    assert AppGrant.objects.count() == 0
