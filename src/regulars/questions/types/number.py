"""A number, written with a point or a comma."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from django.utils.translation import gettext_noop

from ..question_type import AnswerField, AnswerOption, BadAnswer, QuestionType, only_one

WRITTEN = re.compile(r"[+-]?[0-9]{1,15}([.,][0-9]{1,6})?")


class Number(QuestionType):
    label = "A number"
    attribute_type = "number"

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        return AnswerField("input", inputmode="decimal", max_length=24)

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> int | float:
        """Return an int when it is whole. A comma is a decimal comma; thousands are not separated."""
        text = only_one(given, gettext_noop("Write a number, or choose “Not now”.")).replace(" ", "")
        if not WRITTEN.fullmatch(text):
            raise BadAnswer("not_a_number", gettext_noop("Write a number in digits, such as 42 or 7.5."))
        number = float(text.replace(",", "."))
        return int(number) if math.floor(number) == number else number


number = Number()
