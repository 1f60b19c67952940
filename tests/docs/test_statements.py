"""Sentences of the documents and pages that can be compared with what the code does."""

from __future__ import annotations

import json
import re
from importlib.metadata import requires

import pytest
from tests.docs.blocks import ROOT

from regulars.base.errors import Invalid
from regulars.questions.models import QuestionSettings
from regulars.questions.settings import save_settings
from regulars.rules import monty

WORDS = {"no": False, "yes": True, "none": {}}


def test_table_of_question_settings_has_every_setting_with_its_default():
    rows = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", (ROOT / "docs/next-question.md").read_text(), re.MULTILINE
    )
    documented = {
        name: WORDS[value] if value in WORDS else json.loads(value)
        for names, values in rows
        for name, value in zip(
            re.findall(r"`(\w+)`", names), re.split(r", ?", values) if "," in names else [values.strip()], strict=True
        )
        if hasattr(QuestionSettings, name)
    }
    fields = {each.name: each.get_default() for each in QuestionSettings._meta.fields if each.name != "id"}

    assert documented == fields


@pytest.mark.django_db
def test_up_to_two_more_questions_may_follow_as_three_pages_say():
    for path in (
        "docs/marketer/questions.md",
        "src/regulars/interfaces/console/templates/console/questions.html",
        "src/regulars/interfaces/console/templates/console/question_settings.html",
    ):
        assert "up to two more" in (ROOT / path).read_text()

    assert save_settings(one_more=2).one_more == 2
    with pytest.raises(Invalid, match="0, 1 or 2"):
        save_settings(one_more=3)


def test_extra_that_installs_the_sandbox_of_python_rules_is_one_of_the_package():
    [extra] = re.findall(r"pip install --editable '\.\[(\w+)\]'", (ROOT / "docs/developer/rules.md").read_text())

    assert [each for each in requires("regulars") or [] if each.startswith("pydantic-monty") and f"'{extra}'" in each]
    assert f"'.[{extra}]'" in monty.HOW_TO_INSTALL


def test_what_the_tests_need_from_the_machine_is_in_the_readme():
    needed = re.findall(r"^need \w+ (\w+)", (ROOT / "scripts/test").read_text(), re.MULTILINE)
    paragraph = next(
        text for text in (ROOT / "README.md").read_text().split("\n\n") if text.startswith("`scripts/start` needs")
    )

    assert needed
    assert [name for name in needed if name.removesuffix("js")[:4] not in paragraph.lower()] == []
