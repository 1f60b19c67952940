"""What a question type declares: how it is drawn, which answers it takes, and the value an answer gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.utils.translation import gettext_noop

from regulars.base.errors import DomainError
from regulars.base.plugins.catalog import Catalog


class BadAnswer(DomainError):
    """An answer that cannot be taken. The sentence is shown beside the field."""


@dataclass(frozen=True)
class Option:
    """`key` is stored, `label` is read."""

    key: str
    label: str
    image: str = ""  # address of a picture, for cards


@dataclass(frozen=True)
class Field:
    """How an answer is given. The house draws it; every input is called `answer`."""

    widget: str  # "radio" "checkbox" "input" "select" "cards" "consent"
    options: tuple[Option, ...] = ()
    input_type: str = "text"
    inputmode: str = "text"
    autocomplete: str = "off"
    max_length: int | None = None
    hint: str = ""


class QuestionType(Protocol):
    """A plug-in under `regulars.question_types`; its entry point's name is its key."""

    label: str
    attribute_type: str  # text number boolean date choice list: what its answers are as an attribute
    takes_options: bool  # whether the marketer writes the options
    # A type may also have `answers(options)`: every value it can give, when they are few; the chooser reasons over them.
    # And `check(options)`: raises `DomainError` for options it cannot draw.

    def field(self, options: Sequence[Option], locale: str = "en") -> Field:
        """How to draw it for somebody who reads `locale`."""
        ...

    def read(self, given: Sequence[str], options: Sequence[Option]) -> Any:
        """The JSON value of what was given under `answer`; raises `BadAnswer`."""
        ...


def answers_of(kind: QuestionType, options: Sequence[Option]) -> tuple[str | int | bool, ...]:
    """Every value this question can give, or none when they are too many to count."""
    count = getattr(kind, "answers", None)
    return tuple(count(options)) if count else ()


TYPES: Catalog[QuestionType] = Catalog("question_types")


def only_one(given: Sequence[str], sentence: str) -> str:
    """The one answer given, without blanks around it; `BadAnswer("no_answer", sentence)` when there is none."""
    words = [each.strip() for each in given if each.strip()]
    if not words:
        raise BadAnswer("no_answer", sentence)
    return words[0]


def one_of(key: str, options: Sequence[Option]) -> str:
    """`key` if it is offered; `BadAnswer("not_an_option")` otherwise."""
    if key not in {option.key for option in options}:
        raise BadAnswer("not_an_option", gettext_noop("Choose one of the answers below."))
    return key
