"""The language of a journey: what the app asked for, then the customer's own choice, then the browser's languages."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from tests.notices import hidden_fields

from regulars.base.jobs.run_jobs import run_due
from regulars.profiles.learn import NewFact, learn
from regulars.questions.next_question import next_question
from regulars.questions.save import QuestionDraft, save_question

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


@pytest.mark.parametrize("source", ["google-oauth2", "app:shop"])
def test_what_a_provider_or_an_app_says_of_the_customer_changes_no_page(client, dina, source):
    learn(dina.profile, [NewFact("locale", "de-AT", "social", source, basis="contract")])
    browser = Client()
    browser.force_login(dina, backend=LOGGED_IN)

    for path in ("/", "/me", "/me/security", "/logout"):
        assert '<html lang="ar" dir="rtl">' in read(browser, path, browser="ar")


def test_choice_of_the_customer_counts_on_later_pages_and_in_later_journeys(client, passwords):
    links = re.findall(r'<a href="([^"]+)" lang="(\S+)" hreflang', read(client, "/login?next=/me&login_hint=x"))
    assert [code for _, code in links] == [code for code, _ in settings.LANGUAGES]
    french = next(html.unescape(link) for link, code in links if code == "fr")
    assert french == "/login?next=/me&login_hint=x&language=fr"
    assert f"<h1>{FRENCH}</h1>" in read(client, french)
    del client.cookies["regulars_language"]  # an hour later

    assert "Mot de passe oublié" in read(client, "/password/reset")
    assert f"<h1>{GERMAN}</h1>" in read(client, "/login?ui_locales=de")


def test_choice_is_kept_although_the_addresses_of_the_app_ask_for_another_language(client, passwords):
    app = {"next": "/authorize?client_id=x&ui_locales=fr"}
    assert f"<h1>{FRENCH}</h1>" in read(client, "/login?" + urlencode(app))
    read(client, "/login?" + urlencode({**app, "language": "de"}))

    assert f"<h1>{GERMAN}</h1>" in read(client, "/login?" + urlencode(app))
    assert "nicht bekannt" in read(client, "/authorize?client_id=unknown&ui_locales=fr")
    assert f"<h1>{ARABIC}</h1>" in read(client, "/login?ui_locales=ar"), "a new wish of the app counts"


def test_second_choice_replaces_the_first_and_hides_no_later_wish_of_an_app(client, passwords):
    for code in ("de", "fr"):
        read(client, f"/login?language={code}")

    assert f"<h1>{FRENCH}</h1>" in read(client, "/login")
    assert f"<h1>{GERMAN}</h1>" in read(client, "/login?ui_locales=de")


@pytest.mark.parametrize("cookie", ["", ".", "..", "xx.yy", "de.fr.es", "\x7f", "x" * 4000])
def test_damaged_cookie_leaves_a_page(client, passwords, cookie):
    client.cookies["regulars_language"] = client.cookies["regulars_language_choice"] = cookie

    assert client.get("/login", headers={"Accept-Language": "ja"}).status_code == 200


def test_page_that_takes_forms_alone_links_to_a_page_that_can_be_read(client, dina):
    browser = Client()
    browser.force_login(dina, backend=LOGGED_IN)
    page = browser.post("/me/facts/remove", {"attribute": "nothing"}).content.decode()
    link = html.unescape(re.search(r'<a href="([^"]+)" lang="de"', page)[1])

    assert browser.get(link).status_code == 200


def test_question_is_shown_in_the_language_of_the_journey_and_recorded_as_shown(client, dina):
    german = {"text": "Was suchen Sie?", "why": "Um es zuerst zu zeigen."}
    draft = QuestionDraft("size", "What do you look for?", "To show it.", "short_text", "size", "personalise")
    save_question(replace(draft, enabled=True, translations={"de": german}))
    browser = Client()
    browser.force_login(dina, backend=LOGGED_IN)
    impression = next_question(dina.profile, locale="en")  # begun in another tab
    address = f"/question?impression={impression.pk}&next=/me"
    english_tab = read(browser, address)
    page = read(browser, address + "&language=de")
    impression.refresh_from_db()
    assert "Was suchen Sie?" in page
    assert impression.words.startswith("Was suchen Sie?")

    browser.post(address, {**hidden_fields(english_tab), "answer": "boots", "do": "answer"})

    impression.refresh_from_db()
    assert (impression.outcome, impression.locale) == ("answered", "en"), "the tab that was answered showed English"
    assert impression.words.startswith("What do you look for?")


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
    link = re.search(r"https?://testserver(\S+)|http://[^/]+(\S+)", mail.outbox[-1].body)
    elsewhere = Client().get(link[1] or link[2], headers={"Accept-Language": "fr"}, follow=True)
    assert '<html lang="ja"' in elsewhere.content.decode()


def test_staff_read_english(client, standard_setup):
    assert "E-mail" in read(client, "/console/login", browser="de")


@pytest.mark.parametrize("path", ["//other.example/x", "///other.example/x", "/nowhere//other.example"])
def test_links_of_a_page_that_was_not_found_lead_to_no_other_host(client, standard_setup, path):
    shown = client.generic("GET", "/", PATH_INFO=path).content.decode()
    links = re.findall(r'href="([^"]*language=[^"]*)"', shown)

    assert links
    assert [link for link in links if link.startswith("//")] == []
