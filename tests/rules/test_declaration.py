"""What a rule declares, and that every template of the gallery does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.mmdb import write_database

from regulars.base.errors import DomainError
from regulars.cli.__main__ import main
from regulars.rules.declaration import (
    UNREADABLE,
    choose_undeclared_purpose,
    purpose_of,
    recipient_of,
    recipients_as_text,
    recipients_from_text,
    undeclared_hosts,
)
from regulars.rules.models import Rule
from regulars.rules.named_hosts import calls_out
from regulars.rules.save import save_rule
from regulars.rules.templates import Template, all_templates, enable_template

TEMPLATES = all_templates()
NOOP = "(user, context, callback) => callback(null, user, context)"
CALLS = "async (user) => { await fetch('https://crm.example/in', { method: 'POST', body: user.email }); }"


@pytest.fixture(autouse=True)
def _places(settings: Any, tmp_path: Path) -> None:
    """A database of the places of addresses, which some templates need."""
    settings.GEOIP_FILE = str(tmp_path / "places.mmdb")
    write_database(tmp_path / "places.mmdb", "193.10.0.0/16", {"country_code": "SE"})


def test_every_template_declares_a_purpose_and_the_calling_ones_their_recipients(standard_setup: None) -> None:
    """A host in the code that is not declared, or a call without any recipient, fails."""
    wrong = []
    for template in TEMPLATES:
        assert template.purpose, template.key
        example = next((each for each in template.examples if each.http), None)
        rule = enable_template(template.key, dict(example.settings) if example else _anything(template))
        if calls_out(rule.script) != bool(template.recipients) or undeclared_hosts(rule, {}):
            wrong.append((template.key, undeclared_hosts(rule, {})))
        assert (rule.purpose_id, rule.sends) == (template.purpose, list(template.sends))

    assert wrong == []


def _anything(template: Template) -> dict[str, str]:
    return {field.key: field.default or "https://own.example/x" for field in template.settings}


@pytest.mark.parametrize("template", [each for each in TEMPLATES if each.recipients], ids=lambda each: each.key)
def test_every_host_that_a_template_calls_in_its_examples_is_declared(standard_setup: None, template: Template) -> None:
    called = [(each, call) for each in template.examples for call in each.http]
    assert called

    for example, call in called:
        settings = {field.key: field.default for field in template.settings} | example.settings
        host = call["url"].split("/")[2]
        assert recipient_of(host, template.recipients, settings), host


def test_a_rule_without_a_declaration_names_what_it_does_not_declare(standard_setup: None) -> None:
    rule = save_rule("Own", script=CALLS)

    assert (rule.purpose_id, undeclared_hosts(rule, {})) == (None, ["crm.example"])
    worked_out = save_rule("Built", script="async (user) => { await fetch(user.app_metadata.url); }")
    assert undeclared_hosts(worked_out, {}) == [UNREADABLE]
    declared = save_rule("Own", script=CALLS, purpose="share", recipients=[{"name": "Crm", "hosts": [".example"]}])
    assert (declared.purpose_id, undeclared_hosts(declared, {})) == ("share", [])
    assert save_rule("Own", script=CALLS).purpose_id == "share"
    assert save_rule("Own", script=CALLS, purpose="").purpose_id is None


def test_undeclared_rules_have_the_purpose_that_the_operator_chose(standard_setup: None) -> None:
    assert (purpose_of(None), purpose_of("enrich")) == ("serve", "enrich")

    choose_undeclared_purpose("share")

    assert (purpose_of(""), purpose_of("enrich")) == ("share", "enrich")
    with pytest.raises(DomainError) as refused:
        choose_undeclared_purpose("gossip")
    assert refused.value.code == "unknown_purpose"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"purpose": "gossip"}, "unknown_purpose"),
        ({"recipients": [{"name": "A", "hosts": []}]}, "bad_recipients"),
        ({"recipients": [{"name": "A", "hosts": ["https://a.example/"]}]}, "bad_recipients"),
        ({"recipients": [{"name": "A", "hosts": ["a.example"], "more": 1}]}, "bad_recipients"),
        ({"recipients": {"A": 1}}, "bad_recipients"),
        ({"recipients": [{"name": "A" * 129, "hosts": ["a.example"]}]}, "bad_recipients"),
        ({"sends": ["email", 7]}, "bad_sends"),
        ({"sends": "email"}, "bad_sends"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(standard_setup: None, given: dict[str, Any], code: str) -> None:
    with pytest.raises(DomainError) as refused:
        save_rule("Own", script=NOOP, **given)

    assert (refused.value.code, Rule.objects.count()) == (code, 0)


def test_recipients_are_written_in_lines() -> None:
    text = "HubSpot: api.hubapi.com, .hubspot.com\n{HOOK_URL}\n127.0.0.1"
    read = recipients_from_text(text)

    assert read == [
        {"name": "HubSpot", "hosts": ["api.hubapi.com", ".hubspot.com"]},
        {"name": "", "hosts": ["{HOOK_URL}"]},
        {"name": "", "hosts": ["127.0.0.1"]},
    ]
    assert recipients_as_text(read) == text


def test_operator_declares_a_rule_and_chooses_the_purpose_of_the_others(standard_setup: None) -> None:
    save_rule("Own", script=CALLS)
    given = ["rules", "declare", "own", "share", "--recipient", "Crm: a.example", "--sends", "email"]

    declared = CliRunner().invoke(main, given)
    chosen = CliRunner().invoke(main, ["rules", "undeclared", "enrich"])
    refused = CliRunner().invoke(main, ["rules", "undeclared", "gossip"])

    assert (declared.exit_code, "crm.example" in declared.output, chosen.exit_code) == (0, True, 0)
    rule = Rule.objects.get()
    assert (rule.purpose_id, rule.recipients, rule.sends) == (
        "share",
        [{"name": "Crm", "hosts": ["a.example"]}],
        ["email"],
    )
    assert purpose_of(None) == "enrich"
    assert refused.exit_code != 0
