"""In which languages a question is asked, and what those that are partial_translations lack."""

from __future__ import annotations

from dataclasses import replace

import pytest

from regulars.questions.models import Question
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import QuestionDraft, save_question
from regulars.questions.wording import choose_wording, languages, languages_without, partial_translations

pytestmark = pytest.mark.django_db
SPORT = QuestionDraft(
    key="sport",
    text="Do you move?",
    why="So that it fits.",
    help="One is enough.",
    confirm="We think you {value}. Right?",
    type="single_choice",
    attribute="sport",
    purpose="personalise",
    options=(AnswerOption("run", "I run"), AnswerOption("swim", "I swim")),
)
GERMAN = {
    "text": "Bewegst du dich?",
    "why": "Damit es passt.",
    "help": "Eins genügt.",
    "confirm": "Wir denken {value}. Stimmt das?",
    "options": {"run": "Ich laufe", "swim": "Ich schwimme"},
}


def _saved(**more) -> Question:
    return save_question(replace(SPORT, **more))


def test_partial_translation_lists_everything_it_lacks(standard_setup):
    question = _saved(
        translations={"fr": {"text": "Tu bouges ?", "why": "Pour toi.", "options": {"run": "Je cours"}}, "de": GERMAN}
    )

    assert languages(question) == ["en", "de"]
    assert [(each.locale, each.lacks) for each in partial_translations(question)] == [
        ("fr", ("help", "confirm", "options.swim"))
    ]


def test_what_the_question_does_not_say_no_translation_lacks(standard_setup):
    question = _saved(help="", confirm="", translations={"de": {**GERMAN, "help": "", "confirm": ""}})

    assert languages(question) == ["en", "de"]
    assert partial_translations(question) == []


def test_yes_and_no_lack_only_in_languages_without_a_catalogue(standard_setup):
    asked = {"text": "?", "why": "!"}
    question = _saved(type="yes_no", options=(), help="", confirm="", translations={"de": asked, "he": asked})

    assert languages(question) == ["en", "de"]
    assert [(each.locale, each.lacks) for each in partial_translations(question)] == [
        ("he", ("options.yes", "options.no"))
    ]


def test_partial_translation_of_a_variant_lists_what_it_lacks(standard_setup):
    wording = {"key": "b", "text": "And sport?", "why": "Because.", "translations": {"de": {"text": "?", "why": "!"}}}
    question = _saved(translations={"de": GERMAN}, variants=[wording])

    assert [(each.variant, each.locale, each.lacks) for each in partial_translations(question)] == [
        ("b", "de", ("confirm",))
    ]


def test_supported_languages_without_a_translation_are_named(standard_setup):
    question = _saved(locale="en-GB", translations={"de": GERMAN, "pt": GERMAN, "fr": {"text": "?", "why": "!"}})

    assert languages_without(question) == ["es", "ja", "ar"]


@pytest.mark.parametrize("written", ["pt-BR", "pt-br", "pt_BR", "pt"])
def test_a_brazilian_page_asks_in_portuguese_however_the_language_was_written(standard_setup, written):
    question = _saved(translations={written: GERMAN})

    assert choose_wording(question, "pt-br", 1).locale == written
    assert choose_wording(question, "pt_BR", 1).locale == written
    assert "pt-br" not in languages_without(question)
