"""Decisions of another system, imported with their evidence by the command, the console and the API."""

from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner
from tests.management_api.conftest import make_token

from regulars.cli.__main__ import main
from regulars.consent.models import ConsentEvent, Purpose
from regulars.consent.record import Decision, first_broken_link
from regulars.consent.view import may
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Profile
from regulars.usecases.decide_consent import decide
from regulars.usecases.import_consents import import_consents, read_list

WORDS = "Yes, send me news by e-mail."
AT = "2024-05-31T10:00:00+02:00"
YES = {
    "purpose": "message", "decision": "given", "at": AT, "version": "1", "language": "de", "words": WORDS,
    "source": "form at https://shop.example/news",
}  # fmt: skip


def row(profile: Profile, **other: str) -> dict[str, str]:
    return {"user_id": profile.user_id, **YES, **other}


def as_csv(*rows: dict[str, str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for each in rows for name in each)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def codes(*rows: dict[str, str]) -> list[tuple[int, str]]:
    result = import_consents(rows, "operator")
    assert result.recorded == 0
    return [(each.row, each.code) for each in result.problems]


def test_imported_yes_opens_its_purpose_and_keeps_its_evidence(chika):
    result = import_consents([row(chika)], "operator")

    event = ConsentEvent.objects.get(profile=chika)
    assert (result.recorded, result.known) == (1, 0)
    assert may(chika, "message")
    assert (event.action, event.method, event.actor) == ("imported", "import", "operator")
    assert event.at.isoformat() == "2024-05-31T08:00:00+00:00"
    assert (event.notice.body, event.notice.locale, event.purpose_version) == (WORDS, "de", 1)
    assert event.evidence["source"] == YES["source"]
    assert first_broken_link(chika) is None


def test_list_may_be_imported_again(chika):
    import_consents([row(chika)], "operator")

    result = import_consents([row(chika), row(chika)], "operator")

    assert (result.recorded, result.known) == (0, 2)
    assert ConsentEvent.objects.filter(profile=chika).count() == 1


def test_imported_yes_never_counts_against_a_no_of_the_customer(chika):
    decide(chika, Decision("message", "refused", "profile"))

    import_consents([row(chika, at="2024-01-01"), row(chika)], "operator")

    assert not may(chika, "message")


def test_yes_to_words_before_a_widening_does_not_open_the_purpose(chika):
    Purpose.objects.filter(key="message").update(version=2, consents_from=2)

    import_consents([row(chika)], "operator")

    assert not may(chika, "message")


def test_customer_may_be_named_by_address(chika, make_customer):
    learn(chika, [NewFact("email", "chika@mail.example", "verified", "google-oauth2")])
    twin = {**YES, "email": "two@mail.example"}
    for each in (make_customer(yes=()), make_customer(yes=())):
        learn(each, [NewFact("email", "two@mail.example", "declared", "app:shop")])

    assert codes(twin) == [(1, "several_customers")]
    assert import_consents([{**YES, "email": "Chika@Mail.Example"}], "operator").recorded == 1
    assert may(chika, "message")


def test_refusal_of_another_system_is_recorded(chika):
    refused = {"user_id": chika.user_id, "purpose": "message", "decision": "refused", "at": AT}

    assert import_consents([refused], "operator").recorded == 1
    assert not may(chika, "message")
    assert ConsentEvent.objects.get().action == "refused"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"purpose": "world"}, "unknown_purpose"),
        ({"purpose": "serve"}, "needs_no_consent"),
        ({"purpose": "measure"}, "needs_no_consent"),
        ({"version": "2"}, "unknown_version"),
        ({"version": "0"}, "unknown_version"),
        ({"version": "²"}, "unknown_version"),
        ({"at": "2099-01-01T00:00:00Z"}, "in_the_future"),
        ({"at": "yesterday"}, "bad_time"),
        ({"at": ""}, "missing_value"),
        ({"decision": "maybe"}, "unknown_decision"),
        ({"decision": "withdrawn"}, "unknown_decision"),
        ({"words": ""}, "missing_evidence"),
        ({"source": ""}, "missing_evidence"),
        ({"version": ""}, "missing_evidence"),
        ({"words": "x" * 1001}, "too_long"),
        ({"user_id": "auth0|missing"}, "unknown_customer"),
        ({"user_id": ""}, "unknown_customer"),
    ],
)
def test_bad_row_is_refused_with_a_code_and_nothing_is_recorded(chika, wrong, code):
    assert codes(row(chika), row(chika, **wrong)) == [(2, code)]
    assert not ConsentEvent.objects.exists()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("user_id,purpose,decision,at,colour\n", "unknown_column"),
        ("user_id,purpose,decision\n", "missing_column"),
        ("", "missing_column"),
        ("user_id,purpose,decision,at\na,b,c,d,e\n", "unreadable_list"),
        ('user_id,purpose,decision,at\n"a,b\n', "unreadable_list"),
    ],
)
def test_unreadable_list_is_refused_with_a_code(tmp_path, text, code):
    with pytest.raises(Exception) as refused:
        list(read_list(text.splitlines(keepends=True)))

    assert refused.value.code == code


def test_command_imports_a_list_and_names_bad_rows(chika, tmp_path):
    path = tmp_path / "decisions.csv"
    path.write_text(as_csv(row(chika), row(chika, purpose="world")))
    refused = CliRunner().invoke(main, ["consent", "import", str(path)])
    path.write_text("\ufeff" + as_csv(row(chika)))

    imported = CliRunner().invoke(main, ["consent", "import", str(path)])

    assert refused.exit_code != 0
    assert "row 2: unknown_purpose" in refused.output
    assert imported.output.strip() == "1 decisions imported, 0 were there already."
    assert may(chika, "message")


@pytest.mark.parametrize("scope", ["update:users", "read:users"])
def test_api_imports_decisions_with_the_scope_for_it(client, chika, scope):
    def send(**other: str):
        body = json.dumps({"decisions": [{**row(chika, **other), "version": 1}]})
        headers = {"Authorization": f"Bearer {make_token(scope)}"}
        path = "/api/regulars/v1/consents/import"
        return client.post(path, body, content_type="application/json", headers=headers)

    refused, imported = send(purpose="world"), send()

    if scope == "read:users":
        assert (refused.status_code, imported.status_code) == (403, 403)
        return
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "unknown_purpose")
    assert imported.json() == {"recorded": 1, "known": 0}
    assert ConsentEvent.objects.get().actor == "app:bot"
