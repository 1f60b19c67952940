"""Passkeys on a page of an app. `tests/sdk/test_component.py` covers a real browser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core import mail, signing
from django.test import Client as Browser
from tests.oidc.app import CALLBACK, query_of

from regulars.accounts.factors import passkeys_in_apps
from regulars.accounts.models import Account
from regulars.base.jobs.run_jobs import run_due
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
    """Return the phone with its browser moved to this origin."""
    phone.origin = origin
    return phone


@pytest.fixture
def other(standard_setup) -> Client:
    client, _ = register(ClientSpec("Other", "none", redirect_uris=[CALLBACK], web_origins=[SHOP], embeds_login=True))
    return client


def test_passkey_on_the_apps_page_signs_in_and_counts_as_two_factors(app, phone, dina, client):
    question = asked(client, app)
    answer = shown(client, app, question, on_the_page(phone).sign(question["authn_params_public_key"]))
    back = authorize(client, app, answer.json()["login_ticket"])
    record = client.session["account_authentication_methods"][-1]

    assert question["authn_params_public_key"]["rpId"] == "localhost"
    assert question["authn_params_public_key"]["userVerification"] == "required"
    assert "code" in query_of(back["Location"])
    assert client.session["_auth_user_id"] == str(dina.pk)
    assert (record["method"], record["type"], record["passwordless"]) == ("mfa", "webauthn", True)


def test_signed_challenge_is_accepted_once(app, phone, client):
    question = asked(client, app)
    signed = on_the_page(phone).sign(question["authn_params_public_key"])
    answers = [shown(client, app, question, signed) for _ in range(2)]

    assert [each.status_code for each in answers] == [200, 403]
    assert answers[1].json()["code"] == "bad_passkey"


def test_passkey_with_a_decreasing_counter_is_refused_and_the_customer_notified(app, phone, client):
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
def test_signature_for_another_origin_is_refused(app, phone, client, where):
    """Cover phishing pages and the hosted page: the browser binds each signature to the origin of the page."""
    question = asked(client, app)
    answer = shown(client, app, question, on_the_page(phone, where).sign(question["authn_params_public_key"]))

    assert (answer.status_code, answer.json()["code"]) == (403, "bad_passkey")


def test_challenge_is_bound_to_one_app_and_one_origin(app, other, phone, client):
    app.web_origins = [SHOP, "https://www.shop.example"]
    app.save()
    question = asked(client, app)
    signed = on_the_page(phone).sign(question["authn_params_public_key"])
    other_app = shown(client, other, question, signed)
    elsewhere = shown(client, app, question, signed, origin="https://www.shop.example")

    assert (other_app.status_code, elsewhere.status_code) == (403, 403)
    assert shown(client, app, question, signed).status_code == 200


def test_signature_for_the_apps_origin_is_refused_on_the_hosted_page(app, phone, client):
    options = client.post("/passkey/options").json()
    answer = client.post("/passkey?next=/x", {"credential": on_the_page(phone).sign(options)})

    assert answer.status_code == 401


@pytest.mark.parametrize("sealed", ["", "made:up", "{}"])
def test_challenge_not_issued_by_the_server_is_refused(app, phone, client, sealed):
    question = asked(client, app)
    signed = on_the_page(phone).sign(question["authn_params_public_key"])

    assert shown(client, app, {"auth_session": sealed}, signed).status_code == 403


def test_challenge_expires(app, phone, client, monkeypatch):
    question = asked(client, app)
    signed = on_the_page(phone).sign(question["authn_params_public_key"])
    later = signing.time.time() + passkeys_in_apps.LIVES + 1
    monkeypatch.setattr(signing.time, "time", lambda: later)

    assert shown(client, app, question, signed).status_code == 403


def test_staff_blocked_customers_and_unverified_users_are_refused(app, phone, dina, client):
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
def test_malformed_response_is_refused_with_a_code(app, phone, client, nonsense):
    answer = shown(client, app, asked(client, app), "{}", authn_response=nonsense)

    assert answer.status_code in (400, 403)
    assert answer.json()["code"] in ("invalid_request", "bad_passkey")


def test_challenge_requires_an_opted_in_app_and_one_of_its_origins(app, client):
    foreign = call(client, "/passkey/challenge", {"client_id": app.pk}, "https://evil.example")
    unknown = call(client, "/passkey/challenge", {"client_id": "unknown"})

    assert (foreign.status_code, unknown.status_code) == (403, 403)
    assert "Access-Control-Allow-Origin" not in foreign


def test_challenge_reports_whether_the_browser_sends_the_cookie(app, client):
    assert asked(client, app)["remembered"] is False
    assert asked(client, app)["remembered"] is True
    assert asked(Browser(), app)["remembered"] is False


def test_well_known_webauthn_lists_the_origins_of_opted_in_apps(app, other, client):
    other.embeds_login, other.web_origins = False, ["https://elsewhere.example"]
    other.save()
    app.web_origins = [SHOP, "http://localhost:3000", "https://www.shop.example"]
    app.save()
    answer = client.get("/.well-known/webauthn")

    assert answer.json() == {"origins": [SHOP, "https://www.shop.example"]}
    assert answer["Content-Type"] == "application/json"


def test_client_json_contains_the_relying_party_id(app, client, settings):
    settings.PUBLIC_URL = "https://login.shop.example"

    assert client.get(f"/client/{app.pk}.json").json()["passkeys"] == {"rp_id": "login.shop.example"}


def test_removing_a_passkey_invalidates_its_login_ticket(app, phone, dina, client):
    question = asked(client, app)
    ticket = shown(client, app, question, on_the_page(phone).sign(question["authn_params_public_key"])).json()
    dina.authenticator_set.all().delete()

    assert authorize(client, app, ticket["login_ticket"]).status_code == 200
