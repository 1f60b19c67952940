"""The limits that the page about rules and the console state are those that hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from regulars.rules import afterwards, decide, http_calls, javascript, run, save
from regulars.rules.models import Rule
from regulars.rules.sandbox.realm import RealmLimits

ROOT = Path(__file__).parents[2]
PAGE = " ".join((ROOT / "docs/developer/rules.md").read_text().split())
NUMBERS = {0: "no", 2: "two", 10: "ten"}


@pytest.mark.parametrize(
    "sentence",
    [
        f"| running | {RealmLimits().cpu:g} s of processor time, {RealmLimits().wall:g} s in all;",
        f"| waiting | its timeout: {Rule().timeout:g} s, up to {save.MAX_TIMEOUT:g} s.",
        f"| all rules of a login | {run.MAX_SECONDS:g} s |",
        f"for each at most its timeout, for all at most {run.MAX_SECONDS:g} seconds.",
        f"Both runs together have the {run.MAX_SECONDS:g} seconds of one.",
        f"| memory | {RealmLimits().memory >> 20} MB |",
        f"| claims that rules add | {decide.MAX_CLAIMS_BYTES >> 10} KB;",
        f"| metadata of one update | {decide.MAX_METADATA_BYTES >> 10} KB |",
        f"| request, response | {http_calls.MAX_BODY >> 10} KB, {http_calls.MAX_ANSWER // 1000} KB |",
        f"run for up to {NUMBERS[int(javascript.AFTERWARDS_SECONDS)]} more seconds while the login is over.",
        f"{afterwards.AT_ONCE} logins of a process go on at a time.",
    ],
)
def test_limit_is_documented_as_it_is(sentence: str) -> None:
    assert sentence in PAGE


def test_editor_states_the_limits_of_waiting() -> None:
    page = (ROOT / "src/regulars/interfaces/console/templates/console/rule.html").read_text()

    assert f"At most {save.MAX_TIMEOUT:g}; all rules of a login {run.MAX_SECONDS:g}." in page
