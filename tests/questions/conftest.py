from __future__ import annotations

import pytest

from regulars.questions.models import Question
from regulars.questions.question_type import AnswerOption
from regulars.questions.save import QuestionDraft, save_question

LOOKING_FOR = QuestionDraft(
    key="looking_for",
    text="What are you looking for?",
    why="So that we show you that first.",
    type="single_choice",
    options=(AnswerOption("jackets", "Jackets"), AnswerOption("shoes", "Shoes")),
    attribute="looking_for",
    purpose="personalise",
    weight=2.0,
    enabled=True,
)
POSTAL_CODE = QuestionDraft(
    key="postal_code",
    text="What is your postal code?",
    why="So that we name the nearest shop.",
    type="postal_code",
    attribute="postal_code",
    purpose="serve",
    weight=1.0,
    enabled=True,
)


@pytest.fixture
def looking_for(standard_setup: None) -> Question:
    return save_question(LOOKING_FOR)


@pytest.fixture
def postal_code(standard_setup: None) -> Question:
    return save_question(POSTAL_CODE)


@pytest.fixture
def days_later(monkeypatch):
    """Call it with a number of days to be that much later."""
    import datetime as dt

    from regulars.base import clock

    def later(days: int) -> None:
        monkeypatch.setattr(clock, "_offset", lambda: dt.timedelta(days=days))

    return later
