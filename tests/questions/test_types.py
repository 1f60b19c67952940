from __future__ import annotations

import pytest

from regulars.base.errors import DomainError
from regulars.questions.question_type import TYPES, AnswerOption, BadAnswer

OPTIONS = [AnswerOption("jackets", "Jackets"), AnswerOption("shoes", "Shoes")]


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("single_choice", ["shoes"], "shoes"),
        ("multi_choice", ["shoes", "jackets", "shoes"], ["jackets", "shoes"]),
        ("short_text", ["  a warm\njacket\x07 "], "a warm jacket"),
        ("short_text", ["Cafe\u0301"], "Caf\u00e9"),
        ("number", ["42"], 42),
        ("number", ["7,5"], 7.5),
        ("number", ["-3.0"], -3),
        ("date", ["1988-05-31"], "1988-05-31"),
        ("postal_code", [" sw1a  1aa "], "SW1A 1AA"),
        ("postal_code", ["10115"], "10115"),
        ("postal_code", ["02139-4307"], "02139-4307"),
        ("yes_no", ["yes"], True),
        ("yes_no", ["no"], False),
        ("band", ["jackets"], "jackets"),
        ("pick", ["shoes"], "shoes"),
        ("scale", ["5"], 5),
        ("year", ["1988"], 1988),
        ("email", [" Chika@Example.COM "], "Chika@example.com"),
        ("phone", ["+49 (0) 30 / 12-34.56"], "+4930123456"),
        ("phone", ["0049 30 123456"], "+4930123456"),
        ("country", ["pt"], "PT"),
        ("confirm", ["shoes"], "shoes"),
        ("consent", ["no"], False),
    ],
)
def test_an_answer_becomes_a_value(kind, given, value):
    assert TYPES[kind].read(given, OPTIONS) == value


@pytest.mark.parametrize(
    ("kind", "given", "name"),
    [
        ("single_choice", ["boats"], "not_an_option"),
        ("multi_choice", ["shoes", "boats"], "not_an_option"),
        ("short_text", ["x" * 201], "too_long"),
        ("short_text", ["\x07"], "no_answer"),
        ("number", ["about ten"], "not_a_number"),
        ("number", ["1e400"], "not_a_number"),
        ("number", ["nan"], "not_a_number"),
        ("date", ["1988-02-30"], "not_a_date"),
        ("date", ["1899-12-31"], "too_early"),
        ("postal_code", ["somewhere"], "not_a_postal_code"),
        ("postal_code", ["<b>1</b>"], "not_a_postal_code"),
        ("yes_no", ["perhaps"], "not_an_option"),
        ("scale", ["6"], "not_an_option"),
        ("year", ["88"], "not_a_year"),
        ("year", ["²²²²"], "not_a_year"),
        ("year", ["1899"], "year_out_of_range"),
        ("year", ["9999"], "year_out_of_range"),
        ("email", ["chika at example"], "not_an_email"),
        ("phone", ["030 123456"], "not_a_phone_number"),
        ("country", ["EU"], "not_a_country"),
        ("consent", ["perhaps"], "not_an_option"),
    ],
)
def test_what_is_no_answer_is_refused_by_name(kind, given, name):
    with pytest.raises(BadAnswer) as refused:
        TYPES[kind].read(given, OPTIONS)

    assert refused.value.code == name


@pytest.mark.parametrize("kind", list(TYPES))
@pytest.mark.parametrize("nothing", [[], [""], ["  "]])
def test_no_type_takes_an_empty_form(kind, nothing):
    with pytest.raises(BadAnswer):
        TYPES[kind].read(nothing, OPTIONS)


@pytest.mark.parametrize("kind", list(TYPES))
def test_every_type_declares_its_field_and_value(kind):
    declared = TYPES[kind]
    field = declared.field(OPTIONS)

    assert declared.label
    assert declared.attribute_type in {"text", "number", "boolean", "date", "choice", "list"}
    assert field.widget in {"radio", "checkbox", "input", "select", "cards", "consent"}
    assert bool(field.options) == (field.widget != "input")


@pytest.mark.parametrize(
    ("kind", "option", "name"),
    [
        ("band", AnswerOption("young", "Young"), "not_a_range"),
        ("band", AnswerOption("34-25", "Backwards"), "not_a_range"),
        ("pick", AnswerOption("a", "A", "http://pictures.example/a.png"), "bad_image"),
        ("pick", AnswerOption("a", "A", "javascript:alert(1)"), "bad_image"),
    ],
)
def test_options_that_could_not_be_drawn_are_refused_by_name(kind, option, name):
    with pytest.raises(DomainError) as refused:
        TYPES[kind].check([option])

    assert refused.value.code == name


def test_country_is_listed_in_the_language_of_the_customer():
    labels = {option.key: option.label for option in TYPES["country"].field([], "de-AT").options}

    assert (labels["PT"], labels["DE"]) == ("Portugal", "Deutschland")
    assert TYPES["country"].field([], "no such language").options == TYPES["country"].field([], "en").options
