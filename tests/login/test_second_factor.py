"""Authenticator app, recovery codes and passkeys: set-up, login and removal."""

from __future__ import annotations

import threading
import time

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from django.db import connections
from django.test import Client

from regulars.accounts import rate_limits
from regulars.accounts.factors import authenticator_codes
from regulars.accounts.models import Account
from regulars.accounts.rate_limits import Limit
from regulars.base.jobs.run_jobs import run_due

from .conftest import PASSWORD
from .device import Phone, code_of
from .test_social import LENA

MULTI_FACTOR = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"
SECRET = "account_new_app"


def sign_in(client, email="dina@example.com", query="?next=/x"):
    return client.post(f"/login{query}", {"email": email, "password": PASSWORD})


def methods(client) -> list[tuple[str, str]]:
    records = client.session.get("account_authentication_methods", [])
    return [(each["method"], each.get("type", "")) for each in records]


def signed_in_as(client) -> str:
    return client.session.get("_auth_user_id", "")


@pytest.fixture
def app(dina) -> str:
    """The secret of Dina's authenticator app. The code of the previous half minute is used."""
    secret = authenticator_codes.new_secret()
    authenticator_codes.add_app(dina, secret, code_of(secret, -1))
    return secret


@pytest.fixture
def phone(dina, settings) -> Phone:
    """Dina's phone with a registered passkey."""
    settings.PUBLIC_URL = "http://localhost:8000"
    return add_passkey(dina)


def add_passkey(account: Account, **phone) -> Phone:
    browser, made = Client(), Phone(**phone)
    sign_in(browser, account.email)
    options = browser.post("/me/security/passkeys/options").json()
    answer = browser.post("/me/security/passkeys", {"credential": made.make(options), "name": "My phone"})
    assert answer.status_code == 302, answer.content
    return made


def test_setting_up_an_authenticator_app_shows_recovery_codes(dina, client):
    sign_in(client)
    page = client.get("/me/security/app").content.decode()
    secret = client.session[SECRET]

    assert "data:image/svg+xml," in page
    assert secret[:4] in page

    wrong = client.post("/me/security/app", {"code": "000000"})
    right = client.post("/me/security/app", {"code": code_of(secret)})
    run_due()

    assert (wrong.status_code, right.status_code) == (422, 302)
    assert "This code is not right" in wrong.content.decode()
    shown = client.get(right["Location"]).content.decode()
    assert all(code in shown for code in authenticator_codes.recovery_codes(dina))
    assert len(authenticator_codes.recovery_codes(dina)) == 10
    assert methods(client) == [("password", ""), ("mfa", "totp")]
    assert (mail.outbox[-1].subject, mail.outbox[-1].to) == ("An authenticator app was added", [dina.email])


def test_secret_of_the_authenticator_app_is_encrypted_at_rest(app):
    rows = [str(row.data) for row in Authenticator.objects.all()]

    assert len(rows) == 2
    assert not any(app in row for row in rows)


def test_password_alone_does_not_sign_in_with_a_second_factor(app, dina, client):
    answer = sign_in(client)

    assert answer["Location"] == "/second-factor"
    assert not signed_in_as(client)
    assert "You are not signed in" in client.get("/").content.decode()

    wrong = client.post("/second-factor", {"code": "12345"})
    right = client.post("/second-factor", {"code": code_of(app)})

    assert wrong.status_code == 401
    assert (right.status_code, right["Location"]) == (302, "/x")
    assert signed_in_as(client) == str(dina.pk)
    assert methods(client) == [("password", ""), ("mfa", "totp")]


def test_social_login_requires_the_second_factor(google, upstream, client, app, dina):
    """The app belongs to the account, not to the password."""
    there = client.post("/login/google-oauth2?next=/x")["Location"]
    client.get(upstream.decide(there, person=LENA))
    lena = Account.objects.get(pk=signed_in_as(client))
    secret = authenticator_codes.new_secret()
    authenticator_codes.add_app(lena, secret, code_of(secret, -1))
    other = Client()
    there = other.post("/login/google-oauth2?next=/x")["Location"]
    back = other.get(upstream.decide(there, person=LENA))

    assert back["Location"] == "/second-factor"
    assert not signed_in_as(other)
    assert other.post("/second-factor", {"code": code_of(secret)})["Location"] == "/x"
    assert methods(other) == [("socialaccount", ""), ("mfa", "totp")]


def test_code_is_accepted_once_within_half_a_minute(app, dina):
    assert authenticator_codes.check_code(dina, code_of(app, -2)) is None
    assert authenticator_codes.check_code(dina, f" {code_of(app)[:3]} {code_of(app)[3:]}")
    assert authenticator_codes.check_code(dina, code_of(app)) is None
    assert authenticator_codes.check_code(dina, code_of(app, 1))
    assert authenticator_codes.check_code(dina, code_of(app)) is None


@pytest.mark.django_db(transaction=True)
def test_concurrent_uses_of_one_code_sign_in_once(transactional_db, app, dina):
    code, passed = code_of(app), []

    def use() -> None:
        try:
            passed.append(authenticator_codes.check_code(dina, code) is not None)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(passed) == [False] * 5 + [True]


def test_recovery_code_is_accepted_once(app, dina, client):
    spare = authenticator_codes.recovery_codes(dina)[3]
    sign_in(client)
    first = client.post("/second-factor", {"code": spare})
    other = Client()
    sign_in(other)
    second = other.post("/second-factor", {"code": spare})

    assert (first.status_code, second.status_code) == (302, 401)
    assert methods(client)[-1] == ("mfa", "recovery_codes")
    assert len(authenticator_codes.recovery_codes(dina)) == 9


def test_new_recovery_codes_invalidate_the_old_ones(app, dina, client):
    old = authenticator_codes.recovery_codes(dina)
    sign_in(client)
    client.post("/second-factor", {"code": code_of(app)})
    client.post("/me/security/codes")

    assert not set(old) & set(authenticator_codes.recovery_codes(dina))
    assert authenticator_codes.check_code(dina, old[0]) is None


def test_code_guesses_are_rate_limited_even_for_the_right_code(app, client, monkeypatch):
    monkeypatch.setitem(rate_limits.LIMITS, "second", {"pair": Limit(3, 900)})
    sign_in(client)
    guesses = [client.post("/second-factor", {"code": f"{n:06}"}).status_code for n in range(3)]
    late = client.post("/second-factor", {"code": code_of(app)})

    assert guesses == [401] * 3
    assert late.status_code == 429
    assert not signed_in_as(client)


def test_expired_second_factor_step_restarts_the_login(app, client):
    sign_in(client)
    session = client.session
    session["login_waiting"] = {**session["login_waiting"], "at": time.time() - 601}
    session.save()

    assert client.post("/second-factor", {"code": code_of(app)})["Location"] == "/login"
    assert not signed_in_as(client)


def test_application_that_requests_two_factors_gets_them(app, dina, client):
    sign_in(client)
    client.post("/second-factor", {"code": code_of(app)})
    session = client.session
    session["account_authentication_methods"] = session["account_authentication_methods"][:1]
    session.save()
    step_up = client.get("/login", {"next": "/authorize?a=b", "acr_values": MULTI_FACTOR})

    assert step_up["Location"] == "/second-factor?next=%2Fauthorize%3Fa%3Db"
    assert client.get(step_up["Location"]).status_code == 200
    assert client.post(step_up["Location"], {"code": code_of(app, 1)})["Location"] == "/authorize?a=b"
    assert methods(client) == [("password", ""), ("mfa", "totp")]
    assert client.get(step_up["Location"])["Location"] == "/authorize?a=b"


def test_customer_without_a_second_factor_sets_one_up_when_requested(dina, client):
    there = sign_in(client, query="?next=/x&acr_values=mfa")["Location"]
    set_up = client.get(there)["Location"]
    client.get(set_up)
    shown = client.post(set_up, {"code": code_of(client.session[SECRET])})["Location"]

    assert there == "/second-factor?next=%2Fx"
    assert set_up == "/me/security/app?next=%2Fx"
    assert 'href="/x"' in client.get(shown).content.decode()
    assert client.get(there)["Location"] == "/x"
    assert methods(client) == [("password", ""), ("mfa", "totp")]


def test_requested_second_factor_survives_the_login_pages(google, passwords, client):
    query = {"next": "/x", "acr_values": "mfa", "screen_hint": "signup"}

    assert "acr_values=mfa" in client.get("/login", query)["Location"]
    assert "acr_values=mfa" in client.get("/login", {**query, "connection": "google-oauth2"})["Location"]


def test_passkey_signs_in_alone_and_counts_as_two_factors(phone, dina, client):
    options = client.post("/passkey/options").json()
    answer = client.post("/passkey?next=/x", {"credential": phone.sign(options)})

    assert (answer.status_code, answer["Location"]) == (302, "/x")
    assert signed_in_as(client) == str(dina.pk)
    assert methods(client) == [("mfa", "webauthn")]
    assert options["userVerification"] == "required"
    assert not options.get("allowCredentials")


def test_passkey_is_the_second_factor_after_a_password(phone, dina, client):
    assert sign_in(client)["Location"] == "/second-factor"
    options = client.post("/second-factor/options").json()
    answer = client.post("/second-factor", {"credential": phone.sign(options)})

    assert answer["Location"] == "/x"
    assert methods(client) == [("password", ""), ("mfa", "webauthn")]
    assert len(options["allowCredentials"]) == 1


def test_passkey_with_a_decreasing_counter_is_refused_and_the_customer_notified(dina, client, settings):
    settings.PUBLIC_URL = "http://localhost:8000"
    phone = add_passkey(dina, count=1)

    def answer(count: int):
        phone.count = count
        return client.post("/passkey?next=/x", {"credential": phone.sign(client.post("/passkey/options").json())})

    statuses = [answer(count).status_code for count in (1, 2, 2, 0, 7, 3, 8)]
    run_due()
    notices = [mailed.body for mailed in mail.outbox if mailed.subject == "A passkey was refused"]

    assert statuses == [401, 302, 401, 401, 302, 401, 302]
    assert len(notices) == 4
    assert "dina@example.com" in notices[0]
    assert "may have been copied" in notices[0]


def test_copied_passkey_is_refused_as_second_factor(dina, client, settings):
    settings.PUBLIC_URL = "http://localhost:8000"
    phone = add_passkey(dina, count=5)
    sign_in(client)
    answer = client.post("/second-factor", {"credential": phone.sign(client.post("/second-factor/options").json())})
    run_due()

    assert answer.status_code == 401
    assert not signed_in_as(client)
    assert mail.outbox[-1].subject == "A passkey was refused"


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "https://evil.example"},
        {"host": "evil.example"},
        {"verifies": False},
        {"handle": "eA"},
        {"handle": "OTk5OTk5"},
        {"id": b"another passkey of theirs"},
    ],
)
def test_passkey_of_another_origin_or_without_user_verification_is_refused(phone, client, wrong):
    for name, value in wrong.items():
        setattr(phone, name, value)
    answer = client.post("/passkey", {"credential": phone.sign(client.post("/passkey/options").json())})

    assert answer.status_code == 401
    assert "was not accepted" in answer.content.decode()
    assert not signed_in_as(client)


def test_stolen_security_key_cannot_reuse_a_second_factor_challenge(phone, client, passwords, last_link):
    """A second-factor challenge does not require user verification, so it must not permit a login by passkey alone."""
    client.post("/signup", {"email": "dov@example.com", "password": PASSWORD})
    client.post(last_link())
    dov = signed_in_as(client)
    phone.verifies = False
    answer = client.post("/passkey", {"credential": phone.sign(client.post("/second-factor/options").json())})

    assert answer.status_code == 401
    assert signed_in_as(client) == dov


def test_signature_of_another_key_or_another_challenge_is_refused(phone, client):
    from cryptography.hazmat.primitives.asymmetric import ec

    answer = phone.sign(client.post("/passkey/options").json())
    client.post("/passkey/options")
    late = client.post("/passkey", {"credential": answer})
    phone.key = ec.generate_private_key(ec.SECP256R1())
    forged = client.post("/passkey", {"credential": phone.sign(client.post("/passkey/options").json())})

    assert (late.status_code, forged.status_code) == (401, 401)


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "null",
        "[]",
        "{",
        "{}",
        '{"id": "x"}',
        '{"id":"eA","rawId":"eA","type":"public-key","response":{"userHandle":"MQ"}}',
        '{"id":"eA","rawId":"eA","type":"public-key","response":{"clientDataJSON":"!","authenticatorData":"!","signature":"!"}}',
        '{"response": []}',
        '{"response": {"userHandle": 5}}',
        '{"response": {"userHandle": "AA"}}',
        "[" * 9_000,
        "x" * 30_000,
    ],
)
def test_malformed_credential_shows_an_error_page(phone, dina, client, credential):
    client.post("/passkey/options")
    assert client.post("/passkey", {"credential": credential}).status_code == 401
    assert Client().post("/passkey", {"credential": credential}).status_code == 401

    sign_in(client)
    client.post("/second-factor/options")
    assert client.post("/second-factor", {"credential": credential}).status_code == 401
    options = client.post("/second-factor/options").json()
    client.post("/second-factor", {"credential": phone.sign(options)})
    client.post("/me/security/passkeys/options")
    assert client.post("/me/security/passkeys", {"credential": credential}).status_code == 422


def test_staff_and_blocked_customers_cannot_sign_in_by_passkey(phone, dina, client):
    Account.objects.filter(pk=dina.pk).update(is_active=False)
    blocked = client.post("/passkey", {"credential": phone.sign(client.post("/passkey/options").json())})
    Account.objects.filter(pk=dina.pk).update(is_active=True, is_staff=True)
    staff = client.post("/passkey", {"credential": phone.sign(client.post("/passkey/options").json())})

    assert (blocked.status_code, staff.status_code) == (401, 401)


def test_removing_the_last_factor_deletes_recovery_codes_and_sends_a_mail(app, dina, client):
    sign_in(client)
    client.post("/second-factor", {"code": code_of(app)})
    number = authenticator_codes.find(dina, "totp").pk
    client.post("/me/security/remove", {"factor": number})
    run_due()

    assert not Authenticator.objects.exists()
    assert mail.outbox[-1].subject == "The authenticator app was removed"
    assert sign_in(Client())["Location"] == "/x"


def test_factor_of_another_customer_cannot_be_removed(app, dina, client, last_link):
    client.post("/signup", {"email": "eva@example.com", "password": PASSWORD})
    client.post(last_link())
    for factor in (authenticator_codes.find(dina, "totp").pk, "x", "9" * 30, ""):
        client.post("/me/security/remove", {"factor": factor})

    assert authenticator_codes.is_enrolled(dina)


CHANGES = [
    "/me/security/app",
    "/me/security/codes",
    "/me/security/passkeys",
    "/me/security/passkeys/options",
    "/me/security/password",
    "/me/security/remove",
]


@pytest.mark.parametrize("path", CHANGES)
def test_old_session_cannot_change_factors(dina, client, path):
    sign_in(client)
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - 601}]
    session.save()
    answer = client.post(path, {"password": "another row of words"})

    assert answer["Location"] == "/login?next=%2Fme%2Fsecurity&prompt=login"
    assert Client().post(path)["Location"] == "/login?next=%2Fme%2Fsecurity"
    assert Account.objects.get(pk=dina.pk).check_password(PASSWORD)


@pytest.mark.parametrize("path", CHANGES)
def test_session_without_the_second_factor_cannot_change_factors(dina, client, path):
    """The session began before the factor was set up on another device."""
    sign_in(client)
    secret = authenticator_codes.new_secret()
    authenticator_codes.add_app(dina, secret, code_of(secret))

    assert client.post(path)["Location"].startswith("/login?next=%2Fme%2Fsecurity&prompt=login")


def test_social_customer_confirms_a_change_at_the_provider(google, upstream, client):
    there = client.post("/login/google-oauth2")["Location"]
    client.get(upstream.decide(there, person=LENA))
    session = client.session
    record = session["account_authentication_methods"][0]
    session["account_authentication_methods"] = [{**record, "at": time.time() - 601}]
    session.save()
    asked = client.get("/me/security/app")["Location"]
    to_google = client.get(asked).content.decode()
    again = client.post("/login/google-oauth2?next=/me/security/app&prompt=login")["Location"]

    assert asked == "/login?next=%2Fme%2Fsecurity%2Fapp&prompt=login"
    assert "/login/google-oauth2?next=%2Fme%2Fsecurity%2Fapp&amp;prompt=login" in to_google
    assert "prompt=" in again
    client.get(upstream.decide(again, person=LENA))
    assert client.get("/me/security/app").status_code == 200
