"""Services that rules called are asked to delete a customer: by a destination that leads there, else by staff."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from regulars.base import clock
from regulars.base.errors import NotFound
from regulars.consent.models import Erasure
from regulars.consent.record import Decision
from regulars.destinations.manual_requests import finish_request
from regulars.destinations.models import DirectDisclosure, Disclosure, ManualRequest
from regulars.destinations.save import save_destination
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.rules.models import Rule
from regulars.rules.run import job_of
from regulars.rules.save import save_rule
from regulars.rules.templates import all_templates
from regulars.usecases.erase import erase_customer
from regulars.usecases.export import access
from regulars.usecases.record_disclosures import all_disclosures_of
from regulars.usecases.retention import KINDS, apply_retention
from regulars.usecases.rule_calls import CustomerCallGate
from regulars.usecases.unit_of_work import changes

pytestmark = pytest.mark.usefixtures("lake", "standard_setup")
NOOP = "(user, context, callback) => callback(null, user, context)"
EMAIL = "chika@example.com"


@pytest.fixture
def known(chika: Profile) -> Profile:
    with changes(chika, "test") as c:
        c.learn([NewFact("email", EMAIL, "declared", "test")])
    return chika


def decide(profile: Profile, action: str, purpose: str = "share") -> None:
    with changes(profile, "test") as c:
        c.decide(Decision(purpose, action, "test"))


def calls(profile: Profile, *hosts: str, purpose: str = "share") -> None:
    """Let a rule call these hosts with the customer's address."""
    recipients = [{"name": host.partition(".")[0].title(), "hosts": [host]} for host in hosts]
    rule = save_rule("Asks", script=NOOP, purpose=purpose, recipients=recipients)
    gate = CustomerCallGate(profile.pk, {"email": EMAIL})
    for host in hosts:
        assert gate(job_of(rule, {}), {"url": f"https://{host}/in", "text": EMAIL}) is None


def states(profile: Profile) -> dict[str, str]:
    return {each.recipient: each.state for each in all_disclosures_of(profile)}


def test_withdrawal_puts_the_recipient_on_the_list_of_staff_once(known, console):
    decide(known, "given")
    calls(known, "crm.example")
    assert states(known) == {"Crm": "attempted"}
    decide(known, "withdrawn")
    decide(known, "refused", "message")

    (row,) = ManualRequest.objects.all()
    assert (row.name, row.place, row.purpose_id, row.erase, row.attributes) == (
        "Crm",
        "crm.example",
        "share",
        False,
        ["email"],
    )
    assert states(known) == {"Crm": "failed"}
    page = console.get("/console/privacy").content.decode()
    assert "stop using the data for share" in page
    assert EMAIL in page
    assert console.post(f"/console/privacy/requests/{row.pk}/done").status_code == 302
    assert states(known) == {"Crm": "removed"}
    assert access(known)["disclosures"][0]["state"] == "removed"
    row.refresh_from_db()
    assert row.match == {}
    with pytest.raises(NotFound):
        finish_request(row.pk, "staff:x")


def test_recipient_that_is_called_again_is_asked_again(known):
    for _ in range(2):
        decide(known, "given")
        calls(known, "crm.example")
        assert states(known) == {"Crm": "attempted"}
        decide(known, "withdrawn")

    assert ManualRequest.objects.filter(done_at=None).count() == 2


def test_erasure_lists_every_recipient_that_a_rule_ever_called(known, client, console):
    """Also those of a rule that is gone, and of a purpose that was withdrawn before."""
    decide(known, "given")
    calls(known, "crm.example", "zap.example")
    calls(known, "roles.example", purpose="serve")
    decide(known, "withdrawn")
    Rule.objects.all().delete()
    known.refresh_from_db()

    erasure = erase_customer(known)

    rows = ManualRequest.objects.filter(erasure=erasure.pk)
    assert {(row.name, row.erase, row.match["email"], row.profile_id) for row in rows} == {
        (name, True, EMAIL, None) for name in ("Crm", "Zap", "Roles")
    }
    assert ManualRequest.objects.count() == 3
    assert not DirectDisclosure.objects.exists()
    proof = client.get(f"/me/erased/{erasure.pk}").content.decode()
    assert all(name in proof for name in ("Crm", "Zap", "Roles"))
    assert console.get("/console/privacy").context["erasures"][0]["open"] == 3
    finish_request(rows[0].pk, "staff:x")
    assert console.get("/console/privacy").context["erasures"][0]["open"] == 2


@pytest.mark.parametrize("template", [each for each in all_templates() if each.recipients], ids=lambda each: each.key)
def test_erasure_lists_the_recipients_of_every_template(known, template):
    example = next(each for each in template.examples if each.http)
    settings = {field.key: field.default for field in template.settings} | example.settings
    rule = Rule(slug="t", script=NOOP, purpose_id="serve", settings=settings)
    rule.recipients = [each.as_json() for each in template.recipients]
    gate, addresses = CustomerCallGate(known.pk, {}), {each["url"] for each in example.http}
    assert [gate(job_of(rule, {}), {"url": each}) for each in addresses] == [None] * len(addresses)

    erase_customer(known)

    assert {row.place for row in ManualRequest.objects.all()} == {each.split("/")[2] for each in addresses}


def test_destination_that_leads_to_the_same_host_is_asked_instead(known, monkeypatch: Any):
    settings = {"url": "https://crm.example/hook", "secret": "whsec_" + "QUJD" * 8}
    save_destination("Crm hook", "webhook", settings, purpose="message", segment_slugs=[])
    decide(known, "given")
    calls(known, "crm.example", "zap.example")
    decide(known, "withdrawn")

    assert [row.name for row in ManualRequest.objects.all()] == ["Zap"]
    disclosure = Disclosure.objects.get()
    assert (disclosure.state, disclosure.erase, disclosure.match["user_id"]) == ("removing", False, known.user_id)
    known.refresh_from_db()
    erasure = erase_customer(known)
    assert erasure.disclosures == [disclosure.pk]
    disclosure.refresh_from_db()
    assert (disclosure.state, disclosure.erase) == ("removing", True)
    assert [row.name for row in ManualRequest.objects.all()] == ["Zap"]


def test_identity_of_an_erased_customer_ends_with_its_retention(known, monkeypatch: Any):
    decide(known, "given")
    calls(known, "crm.example")
    erase_customer(known)
    assert apply_retention()["deletion_requests"] == 0
    monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(days=KINDS["deletion_requests"].days + 1))

    assert apply_retention()["deletion_requests"] == 1
    row = ManualRequest.objects.get()
    assert (row.match, row.done_at) == ({}, None)
    assert apply_retention()["deletion_requests"] == 0
    assert Erasure.objects.count() == 1


def test_withdrawal_without_calls_of_rules_asks_no_one(known):
    decide(known, "given")
    decide(known, "withdrawn")

    assert not ManualRequest.objects.exists()
