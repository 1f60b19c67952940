"""The language of a page: what the app asked for, then the customer's locale, then the browser's languages."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.core import mail

from regulars.base.jobs.run_jobs import run_due
from regulars.profiles.learn import NewFact, learn

GERMAN, FRENCH, ARABIC = "Anmelden", "Se connecter", "تسجيل الدخول"
LOGGED_IN = "allauth.account.auth_backends.AuthenticationBackend"


def read(client, path: str, browser: str = "en") -> str:
    return client.get(path, headers={"Accept-Language": browser}).content.decode()


@pytest.mark.parametrize(
    ("tag", "word"),
    [
        ("de", GERMAN),
        ("de-CH", GERMAN),
        ("xx fr", FRENCH),
        ("es", "Iniciar sesión"),
        ("ja-JP", "ログイン"),
        ("pt", "Entrar"),
    ],
)
def test_ui_locales_choose_the_language(client, passwords, tag, word):
    page = read(client, "/login?" + urlencode({"ui_locales": tag}), browser="ar")

    assert f"<h1>{word}</h1>" in page


def test_ui_locales_are_read_from_the_waiting_request(client, passwords):
    page = read(client, "/login?" + urlencode({"next": "/authorize?client_id=x&ui_locales=fr"}))

    assert f"<h1>{FRENCH}</h1>" in page


def test_ui_locales_apply_to_later_pages_without_them(client, passwords):
    read(client, "/login?ui_locales=fr")

    assert "Mot de passe oublié" in read(client, "/password/reset")


def test_locale_of_the_customer_precedes_the_browsers_languages(client, dina):
    learn(dina.profile, [NewFact("locale", "de-AT", "declared", "app:shop")])
    client.force_login(dina, backend=LOGGED_IN)

    assert "Angemeldet" in read(client, "/", browser="fr")


def test_browser_decides_without_ui_locales_and_locale(client, passwords):
    response = client.get("/login", headers={"Accept-Language": "ar-EG, en;q=0.5"})

    assert '<html lang="ar" dir="rtl">' in response.content.decode()
    assert f"<h1>{ARABIC}</h1>" in response.content.decode()
    assert response["Content-Language"] == "ar"
    assert "Accept-Language" in response["Vary"]


@pytest.mark.parametrize("tag", ["tlh", "../../etc", "de\0", "x" * 5000])
def test_unknown_language_is_english(client, passwords, tag):
    assert '<html lang="en" dir="ltr">' in read(client, "/login?" + urlencode({"ui_locales": tag}))


def test_error_is_in_the_language_of_the_page(client, passwords):
    page = client.post("/login?ui_locales=de", {"email": "a@example.com", "password": "x"}).content.decode()

    assert "E-Mail-Adresse oder Passwort stimmt nicht." in page


def test_error_page_of_authorize_is_translated(client, standard_setup):
    assert "nicht bekannt" in read(client, "/authorize?client_id=unknown&ui_locales=de")


def test_mail_is_written_in_the_language_of_the_page_that_asked_for_it(client, dina):
    client.post("/password/reset?ui_locales=ja", {"email": "dina@example.com"})
    run_due()

    assert mail.outbox[-1].subject == "新しいパスワードを設定"
    assert "1時間" in mail.outbox[-1].body


def test_staff_read_english(client, standard_setup):
    assert "E-mail" in read(client, "/console/login", browser="de")
