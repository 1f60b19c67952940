"""Every mail that the product sends: both parts, the app's name and colours, readable in light and dark, nothing remote."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from bs4 import BeautifulSoup
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.utils import translation

from regulars.accounts.models import Account, PendingSignup
from regulars.accounts.proofs.models import EmailCode
from regulars.base import clock
from regulars.base.jobs.run_jobs import run_due
from regulars.base.jobs.tasks import HANDLERS
from regulars.base.page_language import page_language
from regulars.clients.branding import READABLE, contrast, current_app
from regulars.clients.models import Client
from regulars.events.own_events import OwnEvent
from regulars.profiles.assertions import Asserter
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.usecases import account_mails
from regulars.usecases.account_mails import NOTICES
from regulars.usecases.complete_social_login import sign_up
from regulars.usecases.restrict import LIFTING, announce_lifting, restrict
from regulars.usecases.unit_of_work import changes

CHIKA = "chika@mail.example"
ACCOUNT_MAILS = ("finish", "known", "reset", "code", "code_and_link", "link")
MAILS = (*ACCOUNT_MAILS, "lifting", *(f"notice:{what}" for what in NOTICES))
LANGUAGES = ("en", "de", "es", "fr", "ja", "pt-br", "ar")
BRANDING = {
    "title": "Harbour & Pine",
    "accent": "#0b6e4f",
    "page": "#eef5f1",
    "page_dark": "#081410",
    "terms": "https://shop.example/terms",
    "logo": "https://shop.example/logo.png",
}


@pytest.fixture
def shop(standard_setup) -> Client:
    return Client.objects.create(client_id="shop", name="Shop", branding=BRANDING)


@pytest.fixture
def chika_account(standard_setup) -> Account:
    return sign_up(CHIKA, make_password("a few words in a row"), "Username-Password-Authentication")


def sent(name: str, language: str = "en", app: str = "shop") -> EmailMultiAlternatives:
    """Have one mail of `MAILS` sent, in the way of the pages."""
    token, page = current_app.set(app), page_language.set(language)
    try:
        if name == "lifting":
            _announce_lifting(language, app)
        else:
            _ask_for(name)
    finally:
        current_app.reset(token)
        page_language.reset(page)
    run_due()
    (found,) = mail.outbox
    assert isinstance(found, EmailMultiAlternatives)
    return found


def _ask_for(name: str) -> None:
    kind, _, what = name.partition(":")
    later = clock.now() + dt.timedelta(days=1)
    if kind in ("finish", "known"):
        email = CHIKA if kind == "known" else "dov@mail.example"
        account_mails.mail_signup_link(PendingSignup.objects.create(email=email, password="", expires_at=later))
    elif kind == "reset":
        account_mails.mail_reset_link(CHIKA, "/")
    elif kind == "notice":
        account_mails.notify(Account.objects.get(email=CHIKA), what)
    else:
        account_mails.mail_code(EmailCode.objects.create(email=CHIKA, expires_at=later), kind)


def _announce_lifting(language: str, app: str) -> None:
    """Staff ask for this one: its language and its app are those in which the customer signed in last."""
    Account.objects.filter(email=CHIKA).update(language=language)
    profile = Profile.objects.get(account__email=CHIKA)
    with changes(profile, "login") as c:
        c.record_event(OwnEvent.SIGNED_IN, {"connection": "", "client": "another", "client_name": ""})
        c.record_event(OwnEvent.SIGNED_IN, {"connection": "", "client": app, "client_name": ""})
    restrict(profile, "profile")
    token, page = current_app.set(""), page_language.set("")
    try:
        with translation.override("fr" if language == "de" else "de"):
            announce_lifting(profile, "staff:bo", "REASON", has_address=True)
    finally:
        current_app.reset(token)
        page_language.reset(page)


def test_mail_to_a_contact_without_account_is_in_the_language_that_they_speak(shop):
    contact, _ = get_or_create_by_identity("external", "crm-1")
    with changes(contact, "import") as c:
        c.learn(
            [
                NewFact("email", "dov@mail.example", "imported", "import:fair", asserter=Asserter.IMPORT),
                NewFact("locale", "ja", "imported", "import:fair", asserter=Asserter.IMPORT),
            ]
        )
    restrict(contact, "staff", "staff:bo", "Disputes.")
    with translation.override("de"):
        announce_lifting(contact, "staff:bo", "REASON", has_address=True)
    run_due()

    (message,) = mail.outbox
    assert message.to == ["dov@mail.example"]
    assert 'lang="ja"' in html_of(message)


def test_notice_that_an_application_caused_is_in_the_name_of_the_app_last_used(shop, chika_account):
    with changes(Profile.objects.get(account=chika_account), "login") as c:
        c.record_event(OwnEvent.SIGNED_IN, {"connection": "", "client": "shop", "client_name": "Shop"})
    account_mails.notify(chika_account, "password_changed")
    run_due()
    (message,) = mail.outbox
    assert message.from_email == "Harbour & Pine <hello@localhost>"


def html_of(message: EmailMultiAlternatives) -> str:
    ((body, kind),) = message.alternatives
    assert kind == "text/html"
    return str(body)


def colour(html: str, selector: str, name: str, *, dark: bool = False) -> str:
    """Return a colour of an element: of its style, or in the dark of the rule for its class."""
    if dark:
        rule = re.search(rf"\.{selector} {{([^}}]*)}}", html)[1]
    else:
        rule = BeautifulSoup(html, "html.parser").select_one(f".{selector}[style]")["style"]
    return re.search(rf"(?:^|[;\s]){name}: (#[0-9a-f]{{6}})", rule)[1]


def test_the_list_of_mails_is_complete():
    kinds = {kind for kind in HANDLERS if "mail" in kind}

    assert kinds == {account_mails.SIGNUP, account_mails.RESET, account_mails.NOTICE, account_mails.CODE, LIFTING}


@pytest.mark.any_database
@pytest.mark.parametrize("name", MAILS)
def test_mail_says_the_same_in_text_and_html_in_the_name_of_the_app(shop, chika_account, name):
    message = sent(name)
    page = BeautifulSoup(html_of(message), "html.parser")
    shown = " ".join(page.body.get_text(" ").split())

    assert message.from_email == "Harbour & Pine <hello@localhost>"
    assert "Harbour & Pine" in message.body
    assert "Harbour & Pine" in shown
    assert page.h1.get_text() == message.subject
    for line in filter(None, message.body.partition("\n-- \n")[0].splitlines()):
        assert " ".join(line.split()) in shown
    links = set(re.findall(r"https?://\S+", message.body))
    assert links <= {each["href"] for each in page.find_all("a")}
    assert "https://shop.example/terms" in {each["href"] for each in page.find_all("a")}


@pytest.mark.any_database
@pytest.mark.parametrize("name", MAILS)
def test_mail_loads_nothing_when_it_is_opened(shop, chika_account, name):
    html = html_of(sent(name))
    page = BeautifulSoup(html, "html.parser")

    assert page.body.get_text().strip()
    assert not page.find_all(["img", "link", "script", "iframe", "object", "video", "audio", "form", "base"])
    assert not page.select("[src], [srcset], [background], [poster]")
    assert not re.search(r"url\(|@import|@font-face", html)


@pytest.mark.any_database
@pytest.mark.parametrize("name", MAILS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("branded", [False, True], ids=["plain", "branded"])
def test_all_text_of_a_mail_is_readable(shop, chika_account, name, dark, branded):
    html = html_of(sent(name, app="shop" if branded else ""))
    card = colour(html, "card", "background-color", dark=dark)
    pairs = [
        (colour(html, "card", "color", dark=dark), card),
        (colour(html, "muted", "color", dark=dark), card),
    ]
    if 'class="link"' in html:
        pairs.append((colour(html, "link", "color", dark=dark), card))
    if 'class="button"' in html:
        pairs.append(
            (colour(html, "button", "color", dark=dark), colour(html, "button", "background-color", dark=dark))
        )

    assert [pair for pair in pairs if contrast(*pair) < READABLE] == []
    assert ("#0b6e4f" in html) == branded


@pytest.mark.any_database
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", MAILS)
def test_mail_has_the_language_and_direction_of_the_page(shop, chika_account, name, language):
    message = sent(name, language)
    page = BeautifulSoup(html_of(message), "html.parser")
    direction = "rtl" if language == "ar" else "ltr"

    assert (page.html["lang"], page.html["dir"], page.body["dir"]) == (language, direction, direction)
    assert all(each["dir"] == "ltr" for each in page.select("a[dir]"))
    english = {part for part in ENGLISH if part in message.body}
    assert english == set() or language == "en"


ENGLISH = (
    "It was not you?",
    "It was you?",
    "It works for",
    "When:",
    "You restricted",
    "Open this link",
    "Your code for",
    "was started",
)


def test_names_cannot_write_markup_headers_or_lines(shop, chika_account):
    Client.objects.filter(pk="shop").update(name="Evil <b>\r\nBcc: x@evil.example", branding={})

    message = sent("code")

    assert "<b>" not in html_of(message)
    assert "&lt;b&gt;" in html_of(message)
    assert message.message()["Bcc"] is None
    assert "\n" not in message.message()["From"]


def test_third_party_app_never_lends_its_name_to_a_mail(shop, chika_account, settings):
    settings.PUBLIC_URL = "https://id.shop.example"
    Client.objects.filter(pk="shop").update(first_party=False)

    message = sent("reset")

    assert "Harbour" not in message.body + html_of(message) + message.from_email
    assert "at id.shop.example was asked for" in message.body


@pytest.mark.parametrize("app", ["", "gone", "x" * 64])
def test_without_a_known_app_the_host_writes(chika_account, settings, app):
    settings.PUBLIC_URL = "https://id.shop.example"

    assert "at id.shop.example was asked for" in sent("reset", app=app).body


def test_name_of_the_sender_in_the_settings_stays(shop, chika_account, settings):
    settings.DEFAULT_FROM_EMAIL = "The shop <hello@shop.example>"

    assert sent("reset").from_email == "The shop <hello@shop.example>"


@pytest.mark.parametrize(
    "road", ["client_id", "next", "cookie"], ids=["named", "in the request that waits", "remembered"]
)
def test_page_gives_its_app_to_the_mail_that_it_asks_for(client, shop, chika_account, road):
    query = {"client_id": "?client_id=shop", "next": "?next=%2Fauthorize%3Fclient_id%3Dshop", "cookie": ""}[road]
    if road == "cookie":
        client.cookies["regulars_app"] = "shop"

    client.post(f"/password/reset{query}", {"email": CHIKA})
    run_due()

    assert "Harbour & Pine" in mail.outbox[-1].body


def test_sign_in_form_inside_an_app_gives_its_app_to_the_mail(client, shop, chika_account):
    from regulars.connections.models import Connection

    Connection.objects.create(name="Username-Password-Authentication", strategy="auth0", display_name="Password")
    Client.objects.filter(pk="shop").update(
        embeds_login=True, web_origins=["https://shop.example"], grant_types=["authorization_code"]
    )
    body = {"client_id": "shop", "email": CHIKA, "connection": "Username-Password-Authentication"}

    answer = client.post("/dbconnections/change_password", body, content_type="application/json")
    run_due()

    assert answer.status_code == 200, answer.content
    assert "Harbour & Pine" in mail.outbox[-1].body
    assert current_app.get() == ""


def test_mail_about_what_staff_did_bears_no_app(chika_account, shop, client):
    client.cookies["regulars_app"] = "shop"
    client.get("/console/login")

    assert current_app.get() == ""
