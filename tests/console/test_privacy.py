"""Purposes, erasures, the ledger and how long data is kept, in the console."""

from __future__ import annotations

import html
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from regulars.clients.models import ResourceServer
from regulars.consent.models import ConsentEvent, Erasure, Purpose, Retention
from regulars.consent.purposes import words_in
from regulars.consent.record import Decision, record
from regulars.consent.view import may
from regulars.destinations.models import Destination, Disclosure
from regulars.destinations.versions import version_of
from regulars.interfaces.console.models import AuditEntry
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute
from regulars.usecases.erase import erase_customer

PURPOSE = "/console/privacy/purposes/message"
WORDS = {"label": "News", "text": "We write to you.", "expires_days": "730"}


def text(response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def test_purposes_show_how_many_customers_consented(console, make_customer):
    make_customer(yes=("message",))
    record(make_customer(yes=()), Decision("message", "refused", "login"))

    assert re.search(r"News by e-mail .*? Consent version 1 1 1 0 50", text(console.get("/console/privacy")))


def test_other_words_are_another_version_and_the_old_ones_are_shown(console, chika):
    record(chika, Decision("message", "given", "login"))

    response = console.post(PURPOSE, WORDS)

    purpose = Purpose.objects.get(key="message")
    assert (response.status_code, purpose.version, purpose.expires_days) == (302, 2, 730)
    assert may(chika, "message")
    assert "To write to you about things you may like. 1 en 1" in text(console.get(PURPOSE))
    assert AuditEntry.objects.get().what == "purpose.changed"


def test_consents_from_before_a_widening_are_listed(console, chika):
    record(chika, Decision("message", "given", "login"))

    console.post(PURPOSE, {**WORDS, "widened": "on"})

    assert not may(chika, "message")
    assert chika.user_id in text(console.get(PURPOSE))
    assert "1 to renew" in text(console.get("/console/privacy"))


GERMAN = {"label.de": "Neuigkeiten per E-Mail", "text.de": "Um Ihnen zu schreiben, auch für Partner."}


def fields(console):
    """Every field of the form as it was loaded."""
    page = console.get(PURPOSE).content.decode()
    inputs = re.findall(r'<input id="[^"]*" name="([^"]+)" type="text" value="([^"]*)"', page)
    areas = re.findall(r'<textarea id="[^"]*" name="([^"]+)"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    return {name: html.unescape(value) for name, value in [*inputs, *areas]}


def test_other_words_drop_the_translations_that_were_left_as_they_were(console):
    form = fields(console)
    assert form["text.de"], "the form asks for every language"

    response = console.post(PURPOSE, {**form, **GERMAN, "text": "We and our partners write to you."}, follow=True)

    message = Purpose.objects.get(key="message")
    assert list(message.translations) == ["de"]
    assert words_in(message, "fr") == ("en", "News by e-mail", "We and our partners write to you.")
    assert "Translate it again into Español, Français, 日本語, Português (Brasil), العربية" in text(response)


@pytest.mark.parametrize(("widened", "kept"), [({}, 6), ({"widened": "on"}, 0)])
def test_translations_that_still_say_the_same_stay_unless_the_purpose_covers_more(console, widened, kept):
    form = {**fields(console), "text": "To write to you about what you may like.", "still_right": "on"}

    console.post(PURPOSE, {**form, **widened})

    assert len(Purpose.objects.get(key="message").translations) == kept


def test_another_translation_is_another_version_and_needs_a_name_and_a_text(console):
    form = fields(console)

    refused = console.post(PURPOSE, {**form, "label.de": ""})
    assert (refused.status_code, 'id="in-label-de-problem"' in refused.content.decode()) == (400, True)
    console.post(PURPOSE, {**form, **GERMAN})

    message = Purpose.objects.get(key="message")
    assert (message.version, len(message.translations)) == (2, 6)
    assert words_in(message, "de")[2] == GERMAN["text.de"]


@pytest.mark.parametrize("wrong", [{"label": ""}, {"text": ""}, {"expires_days": "soon"}, {"expires_days": "99999999"}])
def test_an_invalid_notice_shows_an_error_beside_the_field(console, wrong):
    response = console.post(PURPOSE, {**WORDS, **wrong})

    assert response.status_code == 400
    field = next(iter(wrong)).replace("_", "-")
    assert f'id="in-{field}-problem"' in response.content.decode()
    assert Purpose.objects.get(key="message").version == 1


def test_ana_sets_how_long_data_is_kept(console):
    assert console.post("/console/privacy/retention", {"inbox": "7", "lookups": ""}).status_code == 302

    assert dict(Retention.objects.values_list("kind", "days")) == {"inbox": 7, "lookups": None}


@pytest.mark.parametrize("days", ["-1", "0", "soon", "9" * 30])
def test_a_number_of_days_that_cannot_be_is_refused(console, days):
    assert console.post("/console/privacy/retention", {"inbox": days}).status_code == 400
    assert not Retention.objects.exists()


def test_a_marketer_looks_and_changes_nothing(mia_console):
    assert mia_console.post(PURPOSE, WORDS).status_code == 403
    assert mia_console.post("/console/privacy/retention", {"inbox": "7"}).status_code == 403
    assert mia_console.get("/console/privacy").status_code == 200


def test_the_ledger_of_one_customer_is_found_and_a_changed_row_is_named(console, chika):
    event = record(chika, Decision("message", "given", "login"))
    address = f"/console/privacy?q={chika.user_id}".replace("|", "%7C")
    assert "is intact" in text(console.get(address))

    ConsentEvent.objects.filter(pk=event.pk).update(action="refused")

    assert f"decision {event.pk} does not match" in text(console.get(address))
    assert "No decision matches" in text(console.get("/console/privacy?q=missing"))
    assert console.get("/console/privacy?action=nonsense").status_code == 200


def test_an_erasure_is_listed_by_its_proof(console, chika):
    proof = erase_customer(chika, "customer")

    page = text(console.get("/console/privacy"))

    assert str(proof.pk) in page
    assert chika.user_id not in page


def test_an_erasure_counts_requests_that_were_only_received_apart(console, chika):
    proof = erase_customer(chika, "customer")
    rows = []
    for kind in ("webhook", "slack"):
        destination = Destination.objects.create(name=kind, slug=kind, kind=kind, purpose_id="message", settings={})
        rows.append(Disclosure.objects.create(destination=destination, version=version_of(destination), erase=True))
    Erasure.objects.filter(pk=proof.pk).update(disclosures=[row.pk for row in rows])
    assert "2 not answered" in text(console.get("/console/privacy"))

    Disclosure.objects.update(state="removed")
    assert "1 confirmed, 1 requested" in text(console.get("/console/privacy"))


def test_an_unknown_purpose_is_not_found(console):
    assert console.get("/console/privacy/purposes/nothing").status_code == 404


def test_rejected_special_category_values_are_listed_with_their_source(console, chika):
    assert "Guesses that were not kept" not in text(console.get("/console/privacy"))
    Attribute.objects.create(key="belief", label="Belief", sensitivity="special", purposes=["serve"])
    for _ in range(2):
        learn(chika, [NewFact("belief", "kosher", "declared", "rule:who-orders-what")])

    page = console.get("/console/privacy")
    assert re.search(r"belief [^|]*who-orders-what[^|]* 1 \d+ \w+ \d{4}", text(page))
    assert "kosher" not in page.content.decode()
    assert not chika.facts.exists()


def test_values_without_a_decision_are_listed_with_their_source(console, chika):
    learn(chika, [NewFact("gender", "female", "imported", "import:newsletter", basis="consent")])

    page = console.get("/console/privacy")

    assert re.search(r"gender [^|]*newsletter[^|]* it rests on consent, and names no decision 1 ", text(page))


def test_decisions_of_another_system_are_imported_and_bad_rows_are_named(console, chika):
    def send(at: str):
        heading = "user_id,purpose,decision,at,version,words,source"
        text = f"{heading}\n{chika.user_id},message,given,{at},1,Yes to news,old shop\n"
        upload = SimpleUploadedFile("old.csv", text.encode())
        return console.post("/console/privacy/consents/import", {"list": upload})

    refused = send("2099-01-01")
    imported = send("2024-01-01")

    assert refused.status_code == 400
    assert "Row 1: A decision cannot be made in the future" in refused.content.decode()
    assert imported.status_code == 302
    assert AuditEntry.objects.get().what == "consents.imported"
    assert ConsentEvent.objects.get().actor.startswith("staff:")


def test_record_of_a_decision_is_on_one_page_and_in_a_receipt(console, chika):
    event = record(chika, Decision("message", "given", "login", words="News by e-mail", locale="fr"))
    path = f"/console/customers/{chika.user_id.replace('|', '%7C')}/decisions/{event.pk}"

    page, receipt = console.get(path), console.get(f"{path}/receipt.json").json()

    assert "Words shown News by e-mail Language, version fr, 1" in text(page)
    assert receipt["pii_processing"]["language"] == "fr"
    assert console.get(f"{path}9").status_code == 404


def test_page_names_tokens_that_are_out_and_how_long_they_are_good(console):
    ResourceServer.objects.create(identifier="https://api.shop.example/", name="Orders", token_lifetime=5400)
    shown = text(console.get("/console/privacy"))

    assert "Access tokens have personal claims only where a rule puts them there" in shown
    assert "ID tokens 10 hours" in shown
    assert "Access tokens for /userinfo 1 day; through the browser 2 hours" in shown
    assert "Access tokens for Orders 1 hour, 30 minutes; through the browser 2 hours" in shown
