"""Passkeys on a page of an app. In a real browser: tests/sdk/test_component.py."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core import mail, signing
from django.test import Client as Browser
from tests.oidc.app import CALLBACK, query_of

from regulars.accounts.factors import passkeys_in_apps
from regulars.accounts.models import Account
from regulars.base.jobs.run import run_due
from regulars.clients.models import Client
from regulars.clients.register import ClientSpec, register

from .device import Phone
from .test_embedded import SHOP, app, authorize, call
from .test_second_factor import phone

__all__ = ["app", "phone"]  # fixtures


def asked(browser: Browser, app: Client, origin: str = SHOP) -> dict[str, Any]:
    answer = call(browser, "/passkey/challenge", {"client_id": app.pk}, origin)
    assert answer.status_code == 200, answer.content
    return answer.json()


def shown(browser: Browser, app: Client, question: dict[str, Any], signed: str, origin: str = SHOP, **more: Any):
    body = {
        "client_id": app.pk,
        "credential_type": "urn:okta:params:oauth:grant-type:webauthn",
        "auth_session": question["auth_session"],
        "authn_response": json.loads(signed),
        **more,
    }
    return call(browser, "/co/authenticate", body, origin)


def on_the_page(phone: Phone, origin: str = SHOP) -> Phone:
    """The same phone, whose browser is on this page now."""
    phone.origin = origin
    return phone


@pytest.fixture
def other(standard_setup) -> Client:
    client, _ = register(ClientSpec("Other", "none", redirect_uris=[CALLBACK], web_origins=[SHOP], embeds_login=True))
    return client


def test_her_passkey_on_the_apps_page_signs_her_in_and_counts_as_two_factors(app, phone, dina, client):
    question = asked(client, app)
    answer = shown(client, app, question, on_the_page(phone).sign(question["authn_params_public_key"]))
    back = authorize(client, app, answer.json()["login_ticket"])
    record = client.session["account_authentication_methods"][-1]

    assert question["authn_params_public_key"]["rpId"] == "localhost"
    assert question["authn_params_public_key"]["userVerification"] == "required"
    assert "code" in query_of(back["Location"])
    assert client.session["_auth_user_id"] == str(dina.pk)
    assert (record["method"], record["type"], record["passwordless"]) == ("mfa", "webauthn", True)


def test_what_she_signed_is_good_once(app, phone, client):
    question = asked(client, app)
    signed = on_the_page(phone).sign(question["authn_params_public_key"])
    answers = [shown(client, app, question, signed) for _ in range(2)]

    assert [each.status_code for each in answers] == [200, 403]
    assert answers[1].json()["code"] == "bad_passkey"


def test_a_passkey_that_counts_backwards_is_refused_there_too_and_she_hears_of_it(app, phone, client):
    on_the_page(phone).count = 4
    statuses = []
    for count in (4, 3, 5):
        phone.count, question = count, asked(client, app)
        statuses.append(shown(client, app, question, phone.sign(question["authn_params_public_key"])).status_code)
    run_due()

    assert statuses == [200, 403, 200]
    assert [mailed.subject for mailed in mail.outbox].count("A passkey was refused") == 1


@pytest.mark.parametrize(
    "where", ["https://evil.example", "http://localhost:8000", "https://sub.shop.example", "https://shop.example:8443"]
)
def test_what_she_signed_on_another_page_is_refused(app, phone, client, where):
    """A page that lured her, our own page included: each signature is for the page the browser names in it."""
    question = asked(client, app)
    answer = shown(client, app, question, on_the_page(phone, where).sign(question["authn_params_public_key"]))

    assert (answer.status_code, answer.json()["code"]) == (403, "bad_passkey")


def test_a_question_is_for_one_app_and_one_origin(app, other, phone, client):
    app.web_origins = [SHOP, "https://www.shop.example"]
    app.save()
    question = asked(client, app)
    signed = on_the_page(phone).sign(question["authn_params_public_key"])
    other_app = shown(client, other, question, signed)
    elsewhere = shown(client, app, question, signed, origin="https://www.shop.example")

    assert (other_app.status_code, elsewhere.status_code) == (403, 403)
    assert shown(client, app, question, signed).status_code == 200


def test_what_was_signed_on_the_apps_page_does_not_open_our_own(app, phone, client):
    options = client.post("/passkey/options").json()
    answer = client.post("/passkey?next=/x", {"credential": on_the_page(phone).sign(options)})

    assert answer.status_code == 401


@pytest.mark.parametrize("sealed", ["", "made:up", "{}"])
def test_a_question_that_we_did_not_ask_is_refused(app, phone, client, sealed):
    question = asked(client, app)
    signed = on_the_page(phone).sign(question["authn_params_public_key"])

    assert shown(client, app, {"auth_session": sealed}, signed).status_code == 403


def test_a_question_runs_out(app, phone, client, monkeypatch):
    question = asked(client, app)
    signed = on_the_page(phone).sign(question["authn_params_public_key"])
    later = signing.time.time() + passkeys_in_apps.LIVES + 1
    monkeypatch.setattr(signing.time, "time", lambda: later)

    assert shown(client, app, question, signed).status_code == 403


def test_staff_the_blocked_and_a_phone_without_her_finger_stay_out(app, phone, dina, client):
    on_the_page(phone).verifies = False
    without = asked(client, app)
    answers = [shown(client, app, without, phone.sign(without["authn_params_public_key"]))]
    phone.verifies = True
    for change in ({"is_staff": True}, {"is_staff": False, "is_active": False}):
        Account.objects.filter(pk=dina.pk).update(**change)
        question = asked(client, app)
        answers.append(shown(client, app, question, phone.sign(question["authn_params_public_key"])))

    assert [each.status_code for each in answers] == [403, 403, 403]


@pytest.mark.parametrize("nonsense", [None, "text", [], {}, {"response": 5}, {"response": {"userHandle": "AAAA"}}])
def test_nonsense_is_refused_by_name(app, phone, client, nonsense):
    answer = shown(client, app, asked(client, app), "{}", authn_response=nonsense)

    assert answer.status_code in (400, 403)
    assert answer.json()["code"] in ("invalid_request", "bad_passkey")


def test_only_apps_that_opted_in_may_ask_and_from_their_own_origins(app, client):
    foreign = call(client, "/passkey/challenge", {"client_id": app.pk}, "https://evil.example")
    nobody = call(client, "/passkey/challenge", {"client_id": "nobody"})

    assert (foreign.status_code, nobody.status_code) == (403, 403)
    assert "Access-Control-Allow-Origin" not in foreign


def test_the_form_learns_whether_our_cookie_arrives(app, client):
    assert asked(client, app)["remembered"] is False
    assert asked(client, app)["remembered"] is True
    assert asked(Browser(), app)["remembered"] is False


def test_browsers_are_told_on_whose_pages_our_passkeys_may_be_used(app, other, client):
    other.embeds_login, other.web_origins = False, ["https://elsewhere.example"]
    other.save()
    app.web_origins = [SHOP, "http://localhost:3000", "https://www.shop.example"]
    app.save()
    answer = client.get("/.well-known/webauthn")

    assert answer.json() == {"origins": [SHOP, "https://www.shop.example"]}
    assert answer["Content-Type"] == "application/json"


def test_the_form_is_told_whose_passkeys_they_are(app, client, settings):
    settings.PUBLIC_URL = "https://login.shop.example"

    assert client.get(f"/client/{app.pk}.json").json()["passkeys"] == {"rp_id": "login.shop.example"}


def test_a_passkey_that_is_taken_away_takes_its_ticket_with_it(app, phone, dina, client):
    question = asked(client, app)
    ticket = shown(client, app, question, on_the_page(phone).sign(question["authn_params_public_key"])).json()
    dina.authenticator_set.all().delete()

    assert authorize(client, app, ticket["login_ticket"]).status_code == 200
