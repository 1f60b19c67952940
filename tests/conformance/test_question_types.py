"""Every question type that is installed, ours or a stranger's, keeps the promises the house relies on."""

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
def test_it_says_what_it_is_and_how_it_is_drawn(key):
    kind = TYPES[key]
    field = kind.field(options_of(key))
    assert kind.label
    assert kind.attribute_type in {"text", "number", "boolean", "date", "choice", "list"}
    assert field.widget in WIDGETS
    assert bool(field.options) == (field.widget != "input")
    assert len({option.key for option in field.options}) == len(field.options)


@every_type
@pytest.mark.parametrize("locale", ["en", "de-AT", "ar", "zh-Hant-TW", "", "no such language"])
def test_it_is_drawn_for_readers_of_any_language(key, locale):
    assert all(option.label for option in TYPES[key].field(options_of(key), locale).options)


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
def test_whatever_a_browser_sends_is_a_json_value_or_a_named_refusal(key, given):
    try:
        value = TYPES[key].read(given, options_of(key))
    except BadAnswer as refused:
        value = refused.code
    assert json.loads(json.dumps(value)) == value


@every_type
def test_every_answer_it_says_it_can_give_is_one_it_draws_and_reads(key):
    kind = TYPES[key]
    drawn = [option.key for option in kind.field(options_of(key)).options]
    for answer in kind.answers(options_of(key)):
        forms = {True: "yes", False: "no"} if isinstance(answer, bool) else {}
        form = forms.get(answer, str(answer))
        value = kind.read([form], options_of(key))
        assert form in drawn
        assert value == ([answer] if kind.attribute_type == "list" else answer)
