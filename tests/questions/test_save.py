from __future__ import annotations

from dataclasses import replace

import pytest

from regulars.base.errors import DomainError
from regulars.profiles.models import Attribute
from regulars.questions.models import Question
from regulars.questions.next_question import next_question
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import save_question
from regulars.questions.statistics import question_stats
from regulars.usecases.answer_question import pass_over

from .conftest import LOOKING_FOR


def test_question_declares_its_missing_attribute(looking_for):
    attribute = Attribute.objects.get(key="looking_for")

    assert attribute.type == "choice"
    assert attribute.purposes == ["personalise", "serve"]
    assert attribute.metadata_path == "user_metadata.looking_for"


def test_other_words_are_another_version_and_another_weight_is_not(looking_for):
    assert save_question(replace(LOOKING_FOR, weight=9)).version == 1
    assert save_question(replace(LOOKING_FOR, why="Because winter comes.")).version == 2
    assert Question.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"why": " "}, "missing_words"),
        ({"text": "x" * 201}, "too_long"),
        ({"options": (AnswerOption("a", "A"),)}, "options_missing"),
        ({"type": "telepathy"}, "unknown_plugin"),
        ({"purpose": "world domination"}, "unknown_purpose"),
        ({"attribute": "email", "purpose": "personalise"}, "attribute_not_for_purpose"),
        ({"attribute": "religion"}, "special_attribute"),
    ],
)
def test_a_question_that_could_not_be_asked_is_refused_by_name(standard_setup, change, name):
    Attribute.objects.create(key="religion", label="Religion", sensitivity="special", purposes=["personalise"])

    with pytest.raises(DomainError) as refused:
        save_question(replace(LOOKING_FOR, **change))

    assert refused.value.code == name
    assert not Question.objects.exists()


def test_showings_and_what_came_of_them_are_counted(chika, looking_for, days_later):
    next_question(chika)
    days_later(1)
    pass_over(next_question(chika))

    [stats] = question_stats()
    assert (stats.question, stats.shown, stats.passed) == ("looking_for", 2, 1)
    assert (stats.answered, stats.never) == (0, 0)


@pytest.mark.parametrize("locale", ["x" * 17, "9" * 30, "", "pt BR", "<b>"])
def test_language_that_is_none_is_refused_beside_its_field(standard_setup, locale):
    with pytest.raises(DomainError) as refused:
        save_question(replace(LOOKING_FOR, locale=locale))

    assert (refused.value.code, refused.value.field) == ("bad_locale", "locale")
