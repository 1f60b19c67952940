"""Only what can run is saved."""

from __future__ import annotations

import pytest
from django.db import connection

from regulars.base.errors import DomainError
from regulars.rules.models import Rule, RuleSetting
from regulars.rules.save import BadScript, save_rule, set_setting

NOOP = "function (user, context, callback) { callback(null, user, context); }"

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("script", "name", "line"),
    [
        ("", "empty_script", 0),
        ("function (u, c, cb) {\n\n  foo bar;\n}", "does_not_compile", 3),
        ("42", "does_not_compile", 0),
        ("function (u, c, cb) {\n  const fs = require('fs');\n}", "unknown_module", 2),
        ("function () {}" + " " * 100_000, "script_too_long", 0),
    ],
)
def test_a_script_that_cannot_be_a_rule_is_refused_with_its_line(script: str, name: str, line: int) -> None:
    with pytest.raises(BadScript) as refused:
        save_rule("broken", script=script)

    assert (refused.value.code, refused.value.line) == (name, line)
    assert not Rule.objects.exists()


def test_a_comment_at_the_end_does_not_swallow_the_rule() -> None:
    assert save_rule("commented", script=NOOP + " // that is all").pk


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"name": "!!!"}, "no_name"),
        ({"language": "cobol"}, "unknown_language"),
        ({"language": "python", "script": "not-installed"}, "unknown_plugin"),
    ],
)
def test_what_is_no_rule_is_refused_by_name(changes: dict[str, str], name: str) -> None:
    with pytest.raises(DomainError) as refused:
        save_rule(**{"name": "rule", "script": NOOP, **changes})

    assert refused.value.code == name


def test_saving_again_changes_the_rule_and_keeps_its_order_and_settings() -> None:
    first = save_rule("greet", script=NOOP, order=7, settings={"KEY": "v"})

    again = save_rule("Greet", slug="greet", script=NOOP)

    assert (again.pk, again.name, again.order, again.settings) == (first.pk, "Greet", 7, {"KEY": "v"})


def test_settings_are_ciphertext_in_the_table() -> None:
    set_setting("KEY", "very-secret")

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT value FROM {RuleSetting._meta.db_table}")
        assert "very-secret" not in cursor.fetchone()[0]
    assert RuleSetting.objects.get().value == "very-secret"
