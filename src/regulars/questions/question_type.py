"""The contract of question types: how an answer is drawn, checked and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_noop

from regulars.base.errors import DomainError
from regulars.base.plugins.catalog import Catalog


class BadAnswer(DomainError):
    """An answer that cannot be accepted. The message is shown beside the field."""


@dataclass(frozen=True)
class AnswerOption:
    """`key` is stored, `label` is read."""

    key: str
    label: str
    image: str = ""  # address of a picture, for cards


@dataclass(frozen=True)
class AnswerField:
    """The form field of an answer. The page draws it; every input is called `answer`."""

    widget: str  # "radio" "checkbox" "input" "select" "cards" "consent"
    options: tuple[AnswerOption, ...] = ()
    input_type: str = "text"
    inputmode: str = "text"
    autocomplete: str = "off"
    max_length: int | None = None
    hint: str = ""


class QuestionType:
    """A plug-in under `regulars.question_types`; the name of its entry point is its key.

    A type sets `label` and overrides `field` and `read`; everything else has a default.
    """

    label: str = ""
    attribute_type: str = "text"  # text number boolean date choice list: the type of the attribute that answers fill
    takes_options: bool = False  # whether the marketer writes the options
    confirms: bool = False  # whether it does nothing but confirm a value from another source
    gives_consent: bool = False  # whether its answer is a consent, which the ledger keeps instead of a fact

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        """Return how to draw it for a customer who reads `locale`."""
        raise NotImplementedError

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> Any:
        """Return the JSON value of what was sent as `answer`; raises `BadAnswer`."""
        raise NotImplementedError

    def answers(self, options: Sequence[AnswerOption]) -> Sequence[str | int | bool]:
        """Return every value it can give when they are few; selection reasons over them. None by default."""
        return ()

    def check(self, options: Sequence[AnswerOption]) -> None:
        """Raise `DomainError` for options it cannot draw."""

    def check_text(self, text: str) -> None:
        """Raise `DomainError` for a question text it cannot use."""


TYPES: Catalog[QuestionType] = Catalog("question_types")


def only_one(given: Sequence[str], sentence: str) -> str:
    """Return the one answer given, stripped; `BadAnswer("no_answer", sentence)` when there is none."""
    words = [each.strip() for each in given if each.strip()]
    if not words:
        raise BadAnswer("no_answer", sentence)
    return words[0]


def one_of(key: str, options: Sequence[AnswerOption]) -> str:
    """Return `key` if it is offered; `BadAnswer("not_an_option")` otherwise."""
    if key not in {option.key for option in options}:
        raise BadAnswer("not_an_option", gettext_noop("Choose one of the answers below."))
    return key
