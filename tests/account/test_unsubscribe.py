"""Links by which a customer says no without signing in, and the one click of mail programs (RFC 8058)."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.test import Client

from regulars.base import clock
from regulars.base.crypto import encrypt
from regulars.consent.models import ConsentEvent, Purpose, Suppression
from regulars.consent.record import Decision
from regulars.consent.refusal_links import link_of_address, link_of_profile
from regulars.consent.view import may
from regulars.destinations.kind import KINDS
from regulars.destinations.mapping import checked
from regulars.destinations.message import MessageSubject, compose
from regulars.destinations.save import save_destination, save_mapping
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.usecases.erase import erase_customer
from regulars.usecases.mail_message import Sender, write_mail
from regulars.usecases.merge import merge
from regulars.usecases.unit_of_work import changes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup", "lake")]
EMAIL = "chika@example.com"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def browser(settings, tmp_path) -> Client:
    """A browser, or a mail service, without cookies; requests are checked for forgery as in production."""
    settings.HOME = tmp_path
    return Client(enforce_csrf_checks=True)


def contact(name: str = "crm-1", email: str = EMAIL) -> Profile:
    profile, _ = get_or_create_by_identity("external", name)
    with changes(profile, "import") as c:
        c.learn([NewFact("email", email, "imported", "import:fair")])
        c.decide(Decision("message", "imported", "import", evidence={"list": "fair"}))
    return profile


def path_of(link: str) -> str:
    return link[link.index("/unsubscribe/") :]


def message_link(profile: Profile) -> str:
    return path_of(link_of_profile(profile, Purpose.objects.get(key="message")))


@pytest.mark.parametrize(
    ("form", "words"), [(ONE_CLICK, "List-Unsubscribe=One-Click"), ({"say": "no"}, "Do not use my data for this")]
)
def test_imported_contact_says_no_by_a_link(browser, form, words):
    profile, twin = contact(), contact("crm-2")
    answer = browser.post(message_link(profile), form)

    assert answer.status_code == 200
    assert "sessionid" not in answer.cookies
    assert not may(profile, "message")
    assert not may(twin, "message")
    event = profile.consent_events.get(action="withdrawn")
    assert (event.method, event.actor, event.notice.locale) == ("link", "customer", "en")
    assert event.evidence["words"] == words


def test_opening_a_link_shows_a_button_and_changes_nothing(browser):
    profile = contact()
    page = browser.get(message_link(profile))

    assert page.status_code == 200
    assert "News by e-mail" in page.content.decode()
    assert "<button>" in page.content.decode()
    assert may(profile, "message")
    assert browser.post(message_link(profile), {"else": "x"}).status_code == 400
    assert may(profile, "message")


def test_link_names_no_one(browser):
    profile = contact()
    for link in (link_of_profile(profile, Purpose.objects.get(key="message")), link_of_address(EMAIL)):
        assert not any(each in link for each in ("chika", "example.com", "crm-1", "message"))


def test_link_is_good_for_its_purpose_alone(browser):
    profile = contact()
    with changes(profile, "test") as c:
        c.decide(Decision("share", "imported", "import", evidence={"list": "fair"}))
    browser.post(message_link(profile), ONE_CLICK)
    assert may(profile, "share")


def test_link_works_twice_and_is_written_once(browser):
    profile = contact()
    path = message_link(profile)
    assert [browser.post(path, ONE_CLICK).status_code for _ in range(2)] == [200, 200]
    assert profile.consent_events.filter(action="withdrawn").count() == 1


def test_link_survives_a_merge_and_dies_with_an_erasure(browser):
    profile, into = contact(), contact("crm-2", "dov@example.com")
    path = message_link(profile)
    merge(profile, into, "api:bot")
    assert browser.post(path, ONE_CLICK).status_code == 200
    assert not may(into, "message")
    erase_customer(into, "customer")
    assert browser.post(path, ONE_CLICK).status_code == 404
    assert browser.get(path).status_code == 404


NO_LINKS = {
    "short": lambda: "x",
    "the start of one": lambda: "gAAAAA",
    "not ASCII": lambda: "é",
    "an encrypted text": lambda: encrypt("text"),
    "an encrypted profile": lambda: encrypt({"profile": 1}),
}


@pytest.mark.parametrize("kind", NO_LINKS)
def test_what_is_no_link_changes_nothing(browser, kind):
    profile, token = contact(), NO_LINKS[kind]()
    assert browser.post(f"/unsubscribe/{token}", ONE_CLICK).status_code == 404
    assert may(profile, "message")


def test_guesses_and_repetitions_are_throttled(browser):
    path = message_link(contact())
    assert 429 in [browser.post(path, ONE_CLICK).status_code for _ in range(25)]
    assert 429 in [browser.get("/unsubscribe/guess").status_code for _ in range(70)]
    assert browser.get(path).status_code == 200


def test_every_mail_of_ours_carries_the_link_of_one_click(browser):
    profile = contact()
    write_mail(EMAIL, "Hello", [], Sender.of("")).send()
    sent = mail.outbox[-1].message()
    link = re.fullmatch(r"<(.+)>", "".join(sent["List-Unsubscribe"].split()))
    assert link
    assert sent["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    assert browser.post(path_of(link[1]), ONE_CLICK).status_code == 200
    assert set(profile.consent_events.filter(action="objected").values_list("purpose_id", flat=True)) == {
        *("personalise", "message", "enrich", "share")
    }


def test_address_that_no_customer_has_yet_is_kept_as_a_fingerprint(browser):
    assert browser.post(path_of(link_of_address("New@Example.com")), ONE_CLICK).status_code == 200
    assert Suppression.objects.get().advertising
    assert not ConsentEvent.objects.exists()
    assert not may(contact(email="new@example.com"), "message")


def test_link_of_an_erased_address_is_dead(browser):
    profile, path = contact(), path_of(link_of_address(EMAIL))
    erase_customer(profile, "customer")
    assert browser.post(path, ONE_CLICK).status_code == 404


def test_destination_gets_the_link_as_a_field(browser):
    profile = contact()
    destination = save_destination(
        "Mails", "webhook", {"url": "https://mails.example/in", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        purpose="message", segment_slugs=[],
    )  # fmt: skip
    save_mapping(destination, [{"attribute": "=unsubscribe_url"}, {"attribute": "email", "field": "to"}])
    subject = MessageSubject("msg", clock.now(), "s", "S", entered=True)
    composed = compose(destination, KINDS["webhook"], profile, subject, {})

    assert set(composed.message.traits) == {"unsubscribe_url", "to"}
    assert "unsubscribe_url" not in composed.sources
    assert browser.post(path_of(composed.message.traits["unsubscribe_url"]), ONE_CLICK).status_code == 200
    assert not may(profile, "message")
    assert checked([{"attribute": "=unsubscribe_url", "field": "UNSUB"}])[0]["field"] == "UNSUB"


@pytest.mark.parametrize("language", ["de", "es", "fr", "pt-BR", "ja", "ar"])
def test_page_speaks_every_language(browser, language):
    page = browser.get(message_link(contact()), headers={"Accept-Language": language}).content.decode()
    assert "Press the button" not in page
    assert "Do not use my data" not in page
