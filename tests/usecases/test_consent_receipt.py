"""The record of a decision: what was shown, where, to whom; one page of it, and a receipt by ISO/IEC TS 27560."""

from __future__ import annotations

import json
import re

import pytest
from django.conf import settings
from django.utils import translation
from tests.sessions import open_session

from regulars.accounts.models import Account
from regulars.consent.models import ConsentEvent
from regulars.consent.record import Decision, first_broken_link
from regulars.destinations.models import Destination
from regulars.interfaces.account import labels
from regulars.profiles.models import Profile
from regulars.usecases.complete_social_login import sign_up
from regulars.usecases.decide_consent import decide
from regulars.usecases.merge import merge

CONTROLLER = "Harbour & Pine Ltd, 1 Quay Street, Cork, privacy@shop.example"


@pytest.fixture
def profile(standard_setup, settings) -> Profile:
    settings.CONTROLLER = CONTROLLER
    Destination.objects.create(slug="mailer", name="Mailer", kind="webhook", purpose_id="message", enabled=True,
                               settings={"url": "https://mailer.example/in"})  # fmt: skip
    return sign_up("chika@mail.example", "!", "Username-Password-Authentication").profile


@pytest.fixture
def browser(client, profile):
    client.cookies[settings.SESSION_COOKIE_NAME] = open_session(Account.objects.get(profile=profile))
    return client


def allow(browser, key: str = "message", language: str = "de") -> ConsentEvent:
    """Press *Allow* on `/me` as it is shown."""
    page = browser.get(f"/me?language={language}").content.decode()
    form = re.search(rf'action="/me/purposes/{key}">(.*?)</form>', page, re.DOTALL)[1]
    fields = dict(re.findall(r'name="(seen|notice)" value="([^"]*)"', form))
    assert browser.post(f"/me/purposes/{key}", {**fields, "action": "give"}).status_code == 302
    return ConsentEvent.objects.order_by("-pk")[0]


def test_tick_on_the_own_page_has_its_evidence(browser, profile):
    event = allow(browser)

    assert event.evidence["page"] == "/me/purposes/message"
    assert event.evidence["controller"] == CONTROLLER
    assert event.notice.recipients == ["Mailer (mailer.example)"]
    assert "user.contact.email" in event.evidence["categories"]
    assert (event.notice.locale, event.method) == ("de", "profile")
    assert first_broken_link(profile) is None


def test_receipt_names_what_the_specification_asks_for(browser, profile):
    event = allow(browser)
    decide(profile, Decision("message", "withdrawn", "profile"))

    receipt = json.loads(browser.get(f"/me/decisions/{event.pk}.json").content)

    (purpose,) = receipt["pii_processing"]["purposes"]
    assert receipt["record"]["schema_version"] == "ISO/IEC TS 27560:2023"
    assert receipt["record"]["record_id"] == event.hash
    assert receipt["record"]["pii_principal_id"] == profile.user_id
    assert receipt["pii_processing"]["language"] == "de"
    assert receipt["pii_processing"]["privacy_notice"] == event.notice.body
    assert (purpose["lawful_basis"], purpose["recipient_third_parties"]) == ("consent", ["recipient-1"])
    assert {"pii_type": "user.contact.email"} in purpose["pii_information"]
    assert [each["party_name"] for each in receipt["party_identification"]] == [CONTROLLER, "Mailer (mailer.example)"]
    assert [each["state"] for each in receipt["event"]] == ["given", "withdrawn"]


def test_record_of_an_answer_names_what_was_asked_about_and_nothing_beside(browser, profile):
    decide(profile, Decision("personalise", "given", "question", pieces=("gender",)))
    event = ConsentEvent.objects.get(purpose="personalise")

    page = browser.get(f"/me/decisions/{event.pk}?language=en").content.decode()

    assert '<ul class="plain"><li>Gender</li></ul>' in page


@pytest.mark.parametrize("code", [code for code, _ in settings.LANGUAGES])
def test_record_is_read_on_one_page_in_every_language(browser, code):
    event = allow(browser, language=code)

    page = browser.get(f"/me/decisions/{event.pk}?language={code}").content.decode()

    with translation.override(code):
        assert (
            labels.value("locale", event.notice.locale) in re.search(r"notice-text(.*?)</section>", page, re.DOTALL)[1]
        )
    for shown in ("Mailer (mailer.example)", "1 Quay Street", event.notice.body.partition("\n")[2]):
        assert shown in page
    assert f"/me/decisions/{event.pk}" in browser.get("/me").content.decode()


def test_record_of_another_customer_is_not_shown(browser, chika):
    decide(chika, Decision("message", "given", "profile"))
    number = ConsentEvent.objects.get().pk

    for path in (f"/me/decisions/{number}", f"/me/decisions/{number}.json", "/me/decisions/99999999999999999999"):
        assert browser.get(path).status_code == 404


def test_copied_decisions_keep_the_evidence_that_they_had(profile, chika, settings):
    event = decide(chika, Decision("message", "given", "profile"))
    settings.CONTROLLER = "Another Ltd"

    merge(profile, chika, "customer")

    assert ConsentEvent.objects.get(pk=event.pk).evidence["controller"] == CONTROLLER
    copied = ConsentEvent.objects.exclude(pk=event.pk)
    assert not any(each.evidence.get("controller") == "Another Ltd" for each in copied)
