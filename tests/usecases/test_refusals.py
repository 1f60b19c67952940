"""Withdrawals and objections that staff, an API or a list record, for customers with and without an account."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.console.conftest import ana, console
from tests.management_api.conftest import api_client, make_token

from regulars.base import clock
from regulars.cli.__main__ import main
from regulars.consent.models import Suppression
from regulars.consent.record import Decision
from regulars.consent.view import may
from regulars.interfaces.console.models import AuditEntry
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact
from regulars.profiles.models import Profile
from regulars.usecases.unit_of_work import changes

__all__ = ["ana", "api_client", "console"]  # fixtures
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("standard_setup")]


def contact(name: str = "crm-1", email: str = "chika@example.com", phone: str = "") -> Profile:
    profile, _ = get_or_create_by_identity("external", name)
    facts = [NewFact("email", email, "imported", "import:fair")]
    facts += [NewFact("phone_number", phone, "imported", "import:fair")] if phone else []
    with changes(profile, "import") as c:
        c.learn(facts)
        c.decide(Decision("message", "imported", "import", evidence={"list": "fair"}))
    return profile


def test_staff_record_an_objection_with_a_reason(console, ana, settings):
    settings.CONTROLLER = "Harbour & Pine, Cork"
    profile, twin = contact(), contact("crm-2")
    address = "/console/customers/external%7Ccrm-1/refusal"
    assert "Any advertising" in console.get(address).content.decode()
    assert console.post(address, {"purpose": ""}).status_code == 400
    assert may(profile, "message")

    given = {"purpose": "", "reason": "By phone on Monday.", "words": "No more letters, please"}
    assert console.post(address, given).status_code == 302

    assert not may(profile, "message")
    assert not may(twin, "message")
    event = profile.consent_events.filter(purpose="message").order_by("-id").first()
    assert (event.action, event.method, event.actor) == ("objected", "staff", f"staff:{ana.key}")
    said = {"advertising": True, "words": given["words"], "reason": given["reason"]}
    assert event.evidence == {**said, "controller": "Harbour & Pine, Cork"}
    assert "Monday" not in str(AuditEntry.objects.get(what="customer.refused").details)


@pytest.mark.parametrize(("purpose", "code"), [("serve", "needs_no_consent"), ("nothing", "unknown_purpose")])
def test_what_cannot_be_refused_is_an_error(api_client, purpose, code):
    contact()
    path, token = "/regulars/v1/profiles/external%7Ccrm-1/refusals", make_token("create:refusals")
    answer = api_client.call("POST", path, {"purpose": purpose}, token=token)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, code)


def test_api_records_a_withdrawal_once(api_client):
    profile = contact()
    path, token = "/regulars/v1/profiles/external%7Ccrm-1/refusals", make_token("create:refusals")
    yesterday = (clock.now() + dt.timedelta(seconds=1)).isoformat()
    given = {"purpose": "message", "words": "Unsubscribe", "at": yesterday}
    first = api_client.call("POST", path, given, token=token)
    again = api_client.call("POST", path, given, token=token)

    assert [(each["purpose"], each["action"]) for each in first.json()["decisions"]] == [("message", "withdrawn")]
    assert again.json() == {"decisions": []}
    assert not may(profile, "message")
    assert api_client.call("POST", path, given, token=make_token("read:users")).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"action": "withdrawn"},
        {"purpose": "message", "action": "given"},
        {"purpose": "message", "at": "2999-01-01T00:00:00Z"},
        {"purpose": "message", "words": "x" * 2000},
        {"purposes": ["message"]},
        {"purpose": ""},
    ],
)
def test_refusal_that_cannot_be_is_a_bad_request(api_client, body):
    profile = contact()
    path, token = "/regulars/v1/profiles/external%7Ccrm-1/refusals", make_token("create:refusals")
    assert api_client.call("POST", path, body, token=token).status_code == 400
    assert may(profile, "message")
    assert api_client.call("POST", path.replace("crm-1", "crm-9"), {}, token=token).status_code == 404


def imported(tmp_path: Path, text: str):
    path = tmp_path / "no.csv"
    path.write_text(text, encoding="utf-8")
    return CliRunner().invoke(main, ["consent", "refuse", str(path)])


def test_list_of_refusals_is_imported_row_by_row(tmp_path):
    one, two, three = contact(), contact("crm-2", "dov@example.com"), contact("crm-3", "x@example.com", "+351912345678")
    said = imported(
        tmp_path,
        "email,phone_number,user_id,purpose,action,words\n"
        "CHIKA@example.com,,,,objected,Stop\n"
        ",,external|crm-2,message,withdrawn,\n"
        ",00351 912 345 678,,message,,\n"
        "later@example.com,,,,,\n"
        "no address,,,,,\n"
        "a@example.com,,,unheard,,\n",
    )
    assert not any(may(each, "message") for each in (one, two, three))
    assert not may(contact("crm-4", "later@example.com"), "message")
    assert "4 rows imported, 1 of them of no customer yet; 2 refused." in said.output
    assert "line 6  bad_contact" in said.output
    assert "line 7  unknown_purpose" in said.output
    assert said.exit_code == 1
    event = one.consent_events.filter(purpose="message").order_by("-id").first()
    assert (event.method, event.actor, event.evidence["words"]) == ("import", "operator", "Stop")


def test_second_import_changes_nothing(tmp_path):
    profile, text = contact(), "email\nchika@example.com\n"
    assert imported(tmp_path, text).exit_code == 0
    count, rows = profile.consent_events.count(), Suppression.objects.count()
    assert imported(tmp_path, text).exit_code == 0
    assert (profile.consent_events.count(), Suppression.objects.count()) == (count, rows)


@pytest.mark.parametrize("text", ["", "address\nx\n", "purpose\nmessage\n", 'email\n"chika\n'])
def test_file_that_is_no_list_is_refused_whole(tmp_path, text):
    said = imported(tmp_path, text)
    assert said.exit_code != 0
    assert not Suppression.objects.exists()
