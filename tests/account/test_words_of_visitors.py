"""What any visitor could have sent under a public key is on no page that addresses the customer, and decides no language."""

from __future__ import annotations

import json

import pytest
from django.core import mail
from django.utils import timezone

from regulars.base.jobs.run_jobs import run_due
from regulars.events.models import InboxItem, Source
from regulars.events.sources import replace_key
from regulars.profiles.models import Profile
from regulars.usecases.process_event import process_inbox
from regulars.usecases.restrict import announce_lifting, restrict

from .conftest import PASSWORD

FORGED = "Your account is closed. Call +1 555 0100"


@pytest.fixture(params=["public", "server"])
def said(request, dina, client):
    """Return whether the traits that a source sent about Dina are believed. Dina is signed in."""
    source = Source.objects.create(name="Shop", slug="shop")
    if request.param == "server":
        replace_key("shop", "server")
        source.refresh_from_db()
    dina.language = ""
    dina.save()
    profile = Profile.objects.get(account=dina)
    profile.facts.filter(attribute="name").delete()  # as of one whose provider discloses none
    traits = {"name": FORGED, "locale": "ja"}
    InboxItem.objects.create(
        source=source,
        message_id="m-1",
        type="identify",
        body=json.dumps({"type": "identify", "userId": profile.user_id, "traits": traits}),
        received_at=timezone.now(),
    )
    process_inbox()
    profile.refresh_from_db()
    assert (profile.document["name"], profile.document["locale"]) == (FORGED, "ja")  # as staff see it
    return request.param == "server"


@pytest.mark.parametrize("path", ["/me", "/logout", "/"])
def test_page_addresses_the_customer_by_no_word_of_a_visitor(said, client, path):
    client.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    page = client.get(path, follow=True).content.decode()
    heading = page.partition('id="facts"')[0] if path == "/me" else page
    assert (FORGED in heading.partition("<table")[0]) is said
    assert ("dina@example.com" in page) or said


def test_mail_is_in_no_language_that_a_visitor_chose(said, dina):
    profile = Profile.objects.get(account=dina)
    restrict(profile, "staff", "staff:bo", "Asked.")
    mail.outbox.clear()
    announce_lifting(profile, "staff:bo", "REASON", has_address=True)
    run_due()
    [message] = mail.outbox
    assert ('lang="ja"' in str(message.alternatives[0].content)) is said
