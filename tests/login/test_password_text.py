"""A password is text: `é` is one letter, whether a keyboard sends one code point for it or two (NFKC)."""

from __future__ import annotations

import hashlib
import json
import time
import unicodedata

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client as Browser
from tests.management_api.conftest import make_token

from regulars.accounts.models import Account, PasswordPolicy, PendingSignup
from regulars.accounts.passwords import PasswordHasher
from regulars.clients.register import ClientSpec, register
from regulars.usecases.account_mails import signup_link

COMPOSED = unicodedata.normalize("NFC", "café crème à la carte")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
FULLWIDTH = "ｃafé crème à la carte"  # as a Japanese keyboard sends a Latin letter
NEW = unicodedata.normalize("NFD", "une autre phrase très longue")
SHOP = "https://shop.example"


@pytest.fixture
def eva(passwords, client, last_link) -> Account:
    """Return the account of Eva, who signed up on a Mac: the password arrived decomposed."""
    client.post("/signup", {"email": "eva@example.com", "password": DECOMPOSED})
    client.post(last_link())
    client.post("/logout")
    return Account.objects.get(email="eva@example.com")


def sign_in(password: str, email: str = "eva@example.com", path: str = "/login") -> int:
    return Browser().post(path, {"email": email, "password": password}).status_code


@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED, FULLWIDTH])
def test_every_form_of_a_password_signs_in(eva, typed):
    assert sign_in(typed) == 302
    assert sign_in(typed.replace("c", "k", 1) + "!") == 401


def test_a_hash_of_the_password_as_typed_still_signs_in_and_is_renewed(eva):
    old = make_password(DECOMPOSED)
    Account.objects.filter(pk=eva.pk).update(password=old)

    assert sign_in(COMPOSED) == 401  # what was hashed cannot be known yet
    assert sign_in(DECOMPOSED) == 302
    assert Account.objects.get(pk=eva.pk).password != old
    assert sign_in(COMPOSED) == 302


def test_a_reset_and_a_change_set_a_password_that_every_form_opens(eva, client, last_link):
    client.post("/password/reset", {"email": eva.email})
    assert client.post(last_link(), {"password": COMPOSED + " 2"}).status_code == 302
    assert sign_in(DECOMPOSED + " 2") == 302
    assert client.post("/me/security/password", {"password": NEW}).status_code == 302
    assert sign_in(unicodedata.normalize("NFC", NEW)) == 302


def test_a_sign_up_is_finished_in_another_browser_with_every_form(passwords, client):
    client.post("/signup", {"email": "eva@example.com", "password": COMPOSED})
    link = signup_link(PendingSignup.objects.get())

    assert Browser().post(link, {"password": "something else entirely"}).status_code == 422
    assert Browser().post(link, {"password": DECOMPOSED}).status_code == 302


def test_the_management_api_sets_a_password_that_every_form_opens(passwords, client):
    headers = {"Authorization": f"Bearer {make_token()}"}

    def call(method: str, path: str, body: dict[str, str]):
        return client.generic(method, path, json.dumps(body), content_type="application/json", headers=headers)

    new = {"connection": passwords.name, "email": "eva@example.com", "password": DECOMPOSED}
    user = call("POST", "/api/v2/users", new).json()

    assert sign_in(COMPOSED) == 302
    assert call("PATCH", f"/api/v2/users/{user['user_id']}", {"password": NEW}).status_code == 200
    assert sign_in(unicodedata.normalize("NFC", NEW)) == 302


def test_staff_sign_in_with_every_form_and_an_old_hash_is_renewed(standard_setup, settings):
    settings.DEMO = True
    staff = Account.objects.create_staff("ana@shop.example", DECOMPOSED)

    assert sign_in(COMPOSED, staff.email, "/console/login") == 302

    Account.objects.filter(pk=staff.pk).update(password=make_password(DECOMPOSED))

    assert sign_in(DECOMPOSED, staff.email, "/console/login") == 302
    assert sign_in(COMPOSED, staff.email, "/console/login") == 302


def test_a_form_of_an_app_accepts_every_form_and_refuses_half_a_character(eva):
    app, _ = register(ClientSpec("Shop", "none", web_origins=[SHOP], embeds_login=True))

    def authenticate(password: str) -> int:
        body = {"client_id": app.pk, "username": eva.email, "password": password, "credential_type": "password"}
        browser = Browser(headers={"Origin": SHOP})
        return browser.post("/co/authenticate", json.dumps(body), content_type="application/json").status_code

    assert authenticate(COMPOSED) == 200
    assert authenticate("\ud800 of a pair") == 400


@pytest.mark.parametrize(
    "password",
    [
        unicodedata.normalize("NFD", "éàüî"),  # four letters in eight code points
        "ｐａｓｓｗｏｒｄ",  # "password" in other letters
        "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 100,  # 1,800 characters once normalised
        "a few words \N{NULL} in a row",
    ],
)
def test_rules_look_at_the_normal_form(passwords, client, password):
    assert client.post("/signup", {"email": "eva@example.com", "password": password}).status_code == 422


def test_a_breached_password_is_found_in_every_form(passwords, client, settings, tmp_path):
    digests = sorted(hashlib.sha1(each.encode()).hexdigest().upper() for each in (COMPOSED, NEW))
    list_ = tmp_path / "breached"
    list_.write_text("".join(f"{digest}:3\n" for digest in digests))
    settings.BREACHED_PASSWORDS = str(list_)
    typed = [COMPOSED, DECOMPOSED, FULLWIDTH, NEW]

    assert [client.post("/signup", {"email": "e@example.com", "password": each}).status_code for each in typed] == [
        422
    ] * 4


def test_an_earlier_password_is_recognised_in_every_form(eva, passwords, client, last_link):
    PasswordPolicy.objects.create(connection=passwords, history=3)
    client.post("/password/reset", {"email": eva.email})

    assert client.post(last_link(), {"password": COMPOSED}).status_code == 422


def test_two_forms_cost_an_unknown_address_what_they_cost_a_known_one(eva, monkeypatch):
    work: list[str] = []
    for name in ("encode", "verify"):
        real = getattr(PasswordHasher, name)
        monkeypatch.setattr(PasswordHasher, name, lambda *a, real=real, name=name: work.append(name) or real(*a))
    counts = []
    for email in (eva.email, "unknown@example.com"):
        work.clear()
        sign_in(DECOMPOSED + "!", email)
        counts.append(len(work))

    assert counts == [2, 2]


def test_a_password_of_a_million_accents_takes_no_time(eva):
    started = time.monotonic()
    answer = sign_in("\N{COMBINING ACUTE ACCENT}\N{COMBINING CEDILLA}" * 500_000)

    assert answer == 401
    assert time.monotonic() - started < 3
