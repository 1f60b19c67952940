"""Every installed question type, built in or of a third party, keeps the contract of `QuestionType`."""

from __future__ import annotations

import json

import pytest

from regulars.questions.question_type import TYPES, AnswerOption, BadAnswer

OPTIONS = [AnswerOption("18-24", "18 to 24"), AnswerOption("25-34", "25 to 34")]
WIDGETS = {"radio", "checkbox", "input", "select", "cards", "consent"}
every_type = pytest.mark.parametrize("key", list(TYPES))


def options_of(key):
    return OPTIONS if TYPES[key].takes_options else []


@every_type
def test_type_describes_itself_and_its_field(key):
    kind = TYPES[key]
    field = kind.field(options_of(key))
    assert kind.label
    assert kind.attribute_type in {"text", "number", "boolean", "date", "choice", "list"}
    assert field.widget in WIDGETS
    assert bool(field.options) == (field.widget != "input")
    assert len({option.key for option in field.options}) == len(field.options)


@every_type
@pytest.mark.parametrize("locale", ["en", "de-AT", "ar", "zh-Hant-TW", "", "no such language"])
def test_field_is_drawn_in_any_language(key, locale):
    field = TYPES[key].field(options_of(key), locale)
    assert bool(field.options) == (field.widget != "input")
    assert [option.key for option in field.options if not option.label] == []


@every_type
@pytest.mark.parametrize("given", [[], [""], [" \t"], ["\x00"], ["\x00" * 9]])
def test_an_empty_form_is_no_answer(key, given):
    with pytest.raises(BadAnswer) as refused:
        TYPES[key].read(given, options_of(key))
    assert refused.value.message.endswith(".")


@every_type
@pytest.mark.parametrize(
    "given", [["ß" * 10_000], ["<script>"], ["1", "2", "3"], ["__yes"], ["٣"], ["\ud800"], ["-1e999"]]
)
def test_any_browser_input_is_a_json_value_or_a_named_refusal(key, given):
    try:
        value = TYPES[key].read(given, options_of(key))
    except BadAnswer as refused:
        value = refused.code
    assert json.loads(json.dumps(value)) == value


@every_type
def test_every_possible_answer_is_drawn_and_read(key):
    kind = TYPES[key]
    drawn = [option.key for option in kind.field(options_of(key)).options]
    for answer in kind.answers(options_of(key)):
        forms = {True: "yes", False: "no"} if isinstance(answer, bool) else {}
        form = forms.get(answer, str(answer))
        value = kind.read([form], options_of(key))
        assert form in drawn
        assert value == ([answer] if kind.attribute_type == "list" else answer)
