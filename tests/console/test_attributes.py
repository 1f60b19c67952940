"""How attributes and their values are called, in every language, in the console; and what customers read."""

from __future__ import annotations

import pytest

from regulars.interfaces.account.names import PageNames
from regulars.interfaces.console.models import AuditEntry
from regulars.profiles.attributes import STANDARD, ensure_standard_attributes, languages_without, words_in
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Attribute
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import QuestionDraft, save_question
from regulars.usecases.customer_data import facts_of

PAGE = "/console/privacy/attributes/size"
OPTIONS = (AnswerOption("s", "Small"), AnswerOption("l", "Large"))
QUESTION = QuestionDraft(
    "size", "Which size?", "To fit you.", "single_choice", "size", "personalise", OPTIONS,
    translations={"de": {"text": "Welche Größe?", "why": "Damit es passt.", "options": {"s": "Klein", "l": "Groß"}}},
)  # fmt: skip


@pytest.fixture
def size(standard_setup) -> Attribute:
    save_question(QUESTION)
    return Attribute.objects.get(key="size")


def test_names_saved_in_the_console_are_what_customers_read(console, size, make_customer):
    response = console.post(
        PAGE,
        {
            "label": "Size",
            "de.label": "Größe",
            "ja.label": "サイズ",
            "ja.options": "s = 小\nl = 大",
            "de.options": "s = Klein",
        },
    )

    person = make_customer(yes=("personalise",))
    learn(person, [NewFact("size", "l", "declared", "customer")])
    fact = next(each for each in facts_of(person, "ja") if each.attribute == "size")
    assert response.status_code == 302
    assert (fact.label, fact.options["l"]) == ("サイズ", "大")
    assert PageNames("de").attribute("size") == "Größe"
    assert PageNames("fr").attribute("size") == "Size"
    assert AuditEntry.objects.get().what == "attribute.changed"


def test_values_have_the_words_that_the_question_has_in_the_language(size):
    assert words_in(size, "de-AT") == ("Size", {"s": "Klein", "l": "Groß"})
    assert words_in(size, "pt-br") == ("Size", {"s": "Small", "l": "Large"})


def test_words_of_the_console_stay_when_the_question_is_saved_again(console, size):
    console.post(PAGE, {"label": "Size", "de.label": "Größe", "de.options": "s = Eng\nl = Weit"})

    save_question(QUESTION)

    assert words_in(Attribute.objects.get(key="size"), "de") == ("Größe", {"s": "Eng", "l": "Weit"})


def test_own_language_of_a_question_is_the_language_of_its_values(standard_setup):
    save_question(QuestionDraft(
        "schnitt", "Welcher Schnitt?", "Damit es passt.", "single_choice", "schnitt", "personalise",
        (AnswerOption("w", "Weit"), AnswerOption("e", "Eng")), locale="de",
        translations={"en": {"text": "Which cut?", "why": "To fit.", "options": {"w": "Wide", "e": "Narrow"}}},
    ))  # fmt: skip

    attribute = Attribute.objects.get(key="schnitt")
    assert words_in(attribute, "de")[1]["w"] == "Weit"
    assert words_in(attribute, "ja")[1]["w"] == "Wide"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"label": ""}, "label"),
        ({"label": "x" * 129}, "label"),
        ({"de.label": "x" * 129}, "de-label"),
        ({"de.options": "xl = Riesig"}, "de-options"),
    ],
)
def test_wrong_words_of_an_attribute_show_an_error_beside_the_field(console, size, wrong, field):
    response = console.post(PAGE, {"label": "Size", **wrong})

    assert response.status_code == 400
    assert f'id="in-{field}-problem"' in response.content.decode()
    assert not Attribute.objects.get(key="size").translations["de"].get("label")


def test_list_of_attributes_names_the_languages_that_are_missing(console, size):
    page = console.get("/console/privacy/attributes").content.decode()

    assert "not in German, Spanish, French, Japanese, Portuguese (Brazil), Arabic" in page


def test_standard_attributes_are_in_every_language(standard_setup):
    attributes = Attribute.objects.all()

    assert [each for each in attributes if languages_without(each)] == []
    assert len(attributes) == len(STANDARD)


def test_standard_attributes_of_an_earlier_version_get_their_translations(standard_setup):
    Attribute.objects.filter(key="gender").update(translations={})
    Attribute.objects.filter(key="city").update(translations={}, label="Town")

    ensure_standard_attributes()

    gender, city = Attribute.objects.get(key="gender"), Attribute.objects.get(key="city")
    assert words_in(gender, "de") == (
        "Geschlecht",
        {"female": "Frau", "male": "Mann", "other": words_in(gender, "de")[1]["other"]},
    )
    assert words_in(city, "de")[0] == "Town"


def test_unknown_attribute_has_no_page(console):
    assert console.get("/console/privacy/attributes/nothing").status_code == 404
