"""Confirm a value from another source: "We think you live in {value}. Is that right?"

Shown only when there is a value to confirm. "Yes" makes it the customer's own answer; another answer corrects it. With
options, a correction is one of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_noop

from regulars.base.errors import Invalid

from ..question_type import AnswerField, AnswerOption, QuestionType, one_of, only_one
from .short_text import short_text


class Confirm(QuestionType):
    label = "Confirm what we think"
    confirms = True

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        """Return the field of a correction."""
        return AnswerField("select", tuple(options)) if options else short_text.field(options, locale)

    def check_text(self, text: str) -> None:
        if "{value}" not in text:
            raise Invalid("no_value_in_text", "Write {value} where the page should say what we think.", "text")

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> str:
        if options:
            return one_of(only_one(given, gettext_noop("Choose what is right, or choose “Not now”.")), options)
        return short_text.read(given, options)


confirm = Confirm()
