"""A postal code of any country, in capitals with single blanks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.utils.translation import gettext_noop

from ..question_type import AnswerField, AnswerOption, BadAnswer, QuestionType, only_one

# The longest in use have ten characters (US ZIP+4, Iran), the shortest three (Iceland, the Faroes); all have a digit.
WRITTEN = re.compile(r"(?=.*[0-9])[A-Z0-9]([A-Z0-9 -]{1,8})[A-Z0-9]")


class PostalCode(QuestionType):
    label = "A postal code"

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        return AnswerField("input", autocomplete="postal-code", max_length=12)

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> str:
        code = " ".join(only_one(given, gettext_noop("Write your postal code, or choose “Not now”.")).upper().split())
        if not WRITTEN.fullmatch(code):
            raise BadAnswer("not_a_postal_code", gettext_noop("Write a postal code, such as 10115 or SW1A 1AA."))
        return code


postal_code = PostalCode()
