"""Tokens for a code by mail, for apps without a browser."""

from __future__ import annotations

import json
import re

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from django.test import Client as Browser

from regulars.accounts.models import Account
from regulars.base.jobs.run_jobs import run_due
from regulars.clients.models import Client
from regulars.clients.register import ClientSpec, register
from regulars.connections.models import Connection
from regulars.events.read import timeline
from regulars.oauth.grant import PASSWORDLESS_OTP
from tests.oidc.app import id_claims


@pytest.fixture
def phone(standard_setup) -> Client:
    """An app on a phone."""
    Connection.objects.create(name="email", strategy="email", display_name="Code by e-mail")
    grants = ["refresh_token", PASSWORDLESS_OTP]
    return register(ClientSpec("Phone", "none", grant_types=grants, embeds_login=True))[0]


def start(browser: Browser, app: Client, email: str = "dina@example.com") -> str:
    body = {"client_id": app.pk, "connection": "email", "email": email, "send": "code"}
    answer = browser.post("/passwordless/start", json.dumps(body), content_type="application/json")
    assert answer.status_code == 200, answer.content
    run_due()
    return re.search(r"(?m)^\d{6}$", mail.outbox[-1].body)[0]


def redeem(browser: Browser, app: Client, digits: str, **more: str):
    body = {"grant_type": PASSWORDLESS_OTP, "client_id": app.pk, "username": "dina@example.com", "otp": digits}
    scope = {"realm": "email", "scope": "openid email offline_access"}
    return browser.post("/oauth/token", json.dumps({**body, **scope, **more}), content_type="application/json")


def test_a_mailed_code_gets_tokens_once_with_the_authentication_method(phone, client):
    digits = start(client, phone)
    answer = redeem(client, phone, digits)
    again = redeem(client, phone, digits)
    tokens = answer.json()
    claims = id_claims(tokens)
    body = {"grant_type": "refresh_token", "client_id": phone.pk, "refresh_token": tokens["refresh_token"]}
    renewed = client.post("/oauth/token", json.dumps(body), content_type="application/json")

    assert answer.status_code == 200
    assert (claims["email"], claims["email_verified"], claims["amr"]) == ("dina@example.com", True, ["otp"])
    assert renewed.status_code == 200
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_it_is_a_login_like_every_other_and_counts_once(phone, client):
    digits = start(client, phone)
    for _ in range(2):
        redeem(client, phone, digits)
    profile = Account.objects.get().profile

    assert (profile.logins_count, profile.last_ip) == (1, "127.0.0.1")
    assert profile.last_login is not None
    assert [event.properties["connection"] for event in timeline(profile.pk) if event.name == "Signed In"] == ["email"]


def test_wrong_digits_and_codes_of_other_apps_are_worth_nothing(phone, client):
    digits = start(client, phone)
    other, _ = register(ClientSpec("Other", "none", grant_types=[PASSWORDLESS_OTP], embeds_login=True))
    stolen = redeem(client, other, digits)
    wrong = redeem(client, phone, "no")

    for answer in (stolen, wrong):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        assert answer.json()["error_description"] == "Wrong email or verification code."
    assert not Account.objects.exists()


@pytest.mark.parametrize(
    ("more", "error"),
    [({"otp": ""}, "invalid_request"), ({"username": ""}, "invalid_request"), ({"realm": "sms"}, "invalid_request")],
)
def test_what_is_missing_has_a_name(phone, client, more, error):
    answer = redeem(client, phone, start(client, phone), **more)

    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_an_app_that_may_not_use_codes_gets_none(phone, client):
    digits = start(client, phone)
    Client.objects.filter(pk=phone.pk).update(grant_types=["refresh_token"])

    assert redeem(client, phone, digits).json()["error"] == "unauthorized_client"


def test_a_code_alone_gives_no_tokens_with_a_second_factor_or_when_blocked(phone, client):
    redeem(client, phone, start(client, phone))
    account = Account.objects.get()
    Authenticator.objects.create(user=account, type=Authenticator.Type.TOTP, data={"secret": "x"})
    second = redeem(client, phone, start(client, phone))
    account.profile.blocked = True
    account.profile.save()
    blocked = redeem(client, phone, start(client, phone))

    assert (second.status_code, second.json()["error"]) == (400, "mfa_required")
    assert (blocked.status_code, blocked.json()["error"]) == (400, "unauthorized")
