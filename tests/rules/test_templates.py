"""Every template does what its examples say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.mmdb import write_database

from regulars.base.errors import Conflict, DomainError
from regulars.rules.models import Rule
from regulars.rules.run import run
from regulars.rules.templates import Example, Template, all_templates, enable_template, get_template
from regulars.rules.templates.examples import run_example

EXAMPLES = [(template, example) for template in all_templates() for example in template.examples]


@pytest.fixture(autouse=True)
def _places(settings: Any, tmp_path: Path) -> None:
    """A database of the places of addresses, which some templates need."""
    settings.GEOIP_FILE = str(tmp_path / "places.mmdb")
    write_database(tmp_path / "places.mmdb", "193.10.0.0/16", {"country_code": "SE"})


@pytest.mark.parametrize(("template", "example"), EXAMPLES, ids=[f"{t.key}: {e.name}" for t, e in EXAMPLES])
def test_a_template_does_what_its_example_says(standard_setup: None, template: Template, example: Example) -> None:
    enable_template(template.key, example.settings)

    assert run_example(template, example).problems == []


def test_an_example_that_is_not_true_says_how(standard_setup: None) -> None:
    template = get_template("zapier-new-customer")
    example = template.examples[0]
    wrong = {**example.http[0], "sends": ["something else"], "headers": {"x-a": "b"}}

    unasked = run_example(
        template, Example(**{**vars(example), "http": (*example.http, {"url": "https://other.example/"})})
    )
    undeclared = run_example(template, Example(**{**vars(example), "http": ()}))
    different = run_example(
        template, Example(**{**vars(example), "http": (wrong,), "expect": {"denied": "unauthorized"}})
    )

    assert unasked.problems == ["never requested: https://other.example/"]
    assert undeclared.problems == ["requested but not declared: POST https://hooks.zapier.example/1"]
    assert len(different.problems) == 3


def test_there_are_at_least_forty_and_no_two_share_a_title() -> None:
    titles = [template.title for template in all_templates()]

    assert len(set(titles)) == len(titles) >= 40


def test_secrets_are_declared_as_such() -> None:
    named = ("KEY", "TOKEN", "SECRET", "HOOK")
    for template in all_templates():
        for field in template.settings:
            assert field.secret == field.key.endswith(named), f"{template.key}: {field.key}"
            assert not (field.secret and field.default)


def test_every_template_says_why_and_shows_a_case_where_it_does_nothing() -> None:
    for template in all_templates():
        assert template.title
        assert template.why.endswith(".")
        assert len(template.examples) >= 2


def test_a_template_switched_on_runs_at_the_next_login(standard_setup: None) -> None:
    enable_template("loyalty-tier-claim", {"CLAIM": "https://shop.example/tier"})

    outcome = run("login", {"user_id": "auth0|chika"}, {}, profile_id=None)

    assert outcome.id_token_claims == {"https://shop.example/tier": "bronze"}


def test_template_that_is_there_is_not_made_again(standard_setup: None) -> None:
    first = enable_template("loyalty-tier-claim")

    with pytest.raises(Conflict) as refused:
        enable_template("loyalty-tier-claim", {"GOLD": "5"})

    assert refused.value.code == "name_taken"
    assert Rule.objects.get().settings == first.settings


def test_the_guard_among_the_templates_fails_closed(standard_setup: None) -> None:
    assert enable_template("deny-unverified-email").deny_on_failure


def test_an_unknown_template_or_setting_is_refused_by_name(standard_setup: None) -> None:
    with pytest.raises(DomainError) as refused:
        enable_template("make-coffee")
    assert refused.value.code == "unknown_template"

    with pytest.raises(DomainError) as refused:
        enable_template("add-claim", {"CLAIMS": "x"})
    assert refused.value.code == "unknown_setting"


def test_a_setting_that_must_be_given_cannot_be_emptied(standard_setup: None) -> None:
    with pytest.raises(DomainError) as refused:
        enable_template("add-claim", {"CLAIM": ""})

    assert (refused.value.code, refused.value.field) == ("setting_missing", "CLAIM")
