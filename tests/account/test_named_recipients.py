"""Who may be sent the data is named beside the purpose, is part of the notice, and what is new since a yes is shown."""

from __future__ import annotations

import html

import pytest
from tests.notices import hidden_fields

from regulars.consent.models import Purpose
from regulars.destinations.save import save_destination
from regulars.profiles.models import Profile
from regulars.usecases.shown_notices import purpose_notice

from .conftest import PASSWORD

SECRET = "whsec_" + "QUFB" * 10
NAMED = "May be sent to: Partner (partner.example)."


pytestmark = pytest.mark.usefixtures("lake")


@pytest.fixture
def profile(dina):
    return Profile.objects.get(account=dina)


@pytest.fixture
def signed_in(profile, client):
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    return client


def add_partner(name="Partner", url="https://partner.example/in", purpose="personalise"):
    return save_destination(name, "webhook", {"url": url, "secret": SECRET}, purpose=purpose, segment_slugs=[])


def page_of(client):
    return html.unescape(client.get("/me").content.decode())


def give(client, notice):
    return client.post("/me/purposes/personalise", {"action": "give", "seen": "0", "notice": notice})


def notice_of(client):
    client.get("/me")  # only what a page showed can be agreed to
    return purpose_notice(Purpose.objects.get(pk="personalise"), "en").hash


def test_recipients_are_named_beside_the_purpose_before_the_yes(signed_in, profile):
    assert "May be sent to:" not in page_of(signed_in)
    add_partner()

    assert NAMED in page_of(signed_in)


def test_recipients_are_named_in_the_language_of_the_page(signed_in, profile):
    add_partner()
    page = html.unescape(signed_in.get("/me?language=de", follow=True).content.decode())

    assert "Kann gesendet werden an: Partner (partner.example)." in page


def test_recipient_added_after_the_page_was_shown_takes_no_yes(signed_in, profile):
    notice = notice_of(signed_in)
    add_partner()
    answer = give(signed_in, notice)

    assert (answer.status_code, profile.consent_events.count()) == (409, 0)
    assert NAMED in html.unescape(answer.content.decode())
    assert give(signed_in, notice_of(signed_in)).status_code == 302


def test_record_holds_the_recipients_that_were_named(signed_in, profile):
    add_partner()
    give(signed_in, notice_of(signed_in))

    assert profile.consent_events.get().notice.recipients == ["Partner (partner.example)"]
    assert "New since you said yes" not in page_of(signed_in)


def test_recipient_that_is_new_under_an_old_yes_is_shown_to_those_who_gave_it(signed_in, profile):
    add_partner()
    give(signed_in, notice_of(signed_in))
    add_partner("Another", "https://another.example")

    assert "New since you said yes: Another (another.example)." in page_of(signed_in)


def test_destination_that_moves_is_a_new_recipient_under_an_old_yes(signed_in, profile):
    destination = add_partner()
    give(signed_in, notice_of(signed_in))
    save_destination(
        "Partner",
        "webhook",
        {"url": "https://elsewhere.example", "secret": SECRET},
        purpose="personalise",
        segment_slugs=[],
        destination=destination,
    )

    assert "New since you said yes: Partner (elsewhere.example)." in page_of(signed_in)


def test_those_who_said_no_see_no_new_recipient(signed_in, profile):
    add_partner()

    assert "New since you said yes" not in page_of(signed_in)


def test_recipients_are_named_where_a_network_is_asked(client, google, standard_setup):
    add_partner()
    page = html.unescape(client.get("/login/google-oauth2?next=/x").content.decode())

    assert NAMED in page


def test_recipient_added_while_the_choice_was_open_is_shown_again(client, google, standard_setup):
    form = hidden_fields(client.get("/login/google-oauth2?next=/x").content.decode())
    add_partner()
    again = client.post("/login/google-oauth2?next=/x", {**form, "claim": ["gender"]})

    assert (again.status_code, NAMED in html.unescape(again.content.decode())) == (409, True)
