"""Every template does what its examples say."""

from __future__ import annotations

from typing import Any

import pytest

from regulars.base.kit.errors import Refused
from regulars.rules.run import Outcome, run, try_rule
from regulars.rules.templates import Example, Template, all_templates, switch_on

EXAMPLES = [(template, example) for template in all_templates() for example in template.examples]


@pytest.mark.parametrize(("template", "example"), EXAMPLES, ids=[f"{t.key}: {e.name}" for t, e in EXAMPLES])
def test_a_template_does_what_its_example_says(db: None, template: Template, example: Example) -> None:
    rule = switch_on(template.key, example.settings)

    trial = try_rule(rule, example.user, example.context)

    assert trial.error == ""
    assert _summary(trial.outcome) == example.expect


def test_every_template_says_why_and_shows_a_case_where_it_does_nothing() -> None:
    for template in all_templates():
        assert template.title
        assert template.why.endswith(".")
        assert len(template.examples) >= 2


def test_a_template_switched_on_runs_at_the_next_login(db: None) -> None:
    switch_on("loyalty-tier-claim", {"CLAIM": "https://shop.example/tier"})

    outcome = run("login", {"user_id": "auth0|chika"}, {}, profile_id=None)

    assert outcome.id_token_claims == {"https://shop.example/tier": "bronze"}


def test_a_template_switched_on_again_gets_the_new_settings_and_keeps_its_place(db: None) -> None:
    first = switch_on("loyalty-tier-claim")
    switch_on("deny-unverified-email")

    again = switch_on("loyalty-tier-claim", {"GOLD": "5"})

    assert (again.pk, again.order) == (first.pk, first.order)
    assert again.settings == {**first.settings, "GOLD": "5"}


def test_the_guard_among_the_templates_fails_closed(db: None) -> None:
    assert switch_on("deny-unverified-email").deny_on_failure


def test_an_unknown_template_or_setting_is_refused_by_name(db: None) -> None:
    with pytest.raises(Refused) as refused:
        switch_on("make-coffee")
    assert refused.value.name == "unknown_template"

    with pytest.raises(Refused) as refused:
        switch_on("add-claim", {"CLAIMS": "x"})
    assert refused.value.name == "unknown_setting"


def test_a_setting_that_must_be_given_cannot_be_emptied(db: None) -> None:
    with pytest.raises(Refused) as refused:
        switch_on("add-claim", {"CLAIM": ""})

    assert (refused.value.name, refused.value.about) == ("setting_missing", "CLAIM")


def _summary(outcome: Outcome) -> dict[str, Any]:
    """What came of a rule, in the words of a template's `expect`; without what is empty."""
    bags: dict[str, dict[str, Any]] = {"user_metadata": {}, "app_metadata": {}}
    for update in outcome.metadata_updates:
        bags[update.bag].update(update.data)
    everything = {
        "id_token": outcome.id_token_claims,
        "access_token": outcome.access_token_claims,
        "denied": outcome.denied.error if outcome.denied else "",
        "enrichments": outcome.enrichments,
        **bags,
    }
    return {name: value for name, value in everything.items() if value}
