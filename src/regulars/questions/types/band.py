"""A range out of several: an age, an income, a budget. The value is the option's key, such as `25-34`, `<25` or `55+`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.utils.translation import gettext_noop

from regulars.base.errors import Invalid

from ..question_type import AnswerField, AnswerOption, QuestionType, one_of, only_one

WRITTEN = re.compile(r"<\d+(\.\d+)?|\d+(\.\d+)?\+|(?P<low>\d+(\.\d+)?)-(?P<high>\d+(\.\d+)?)")


class Band(QuestionType):
    label = "A range"
    attribute_type = "choice"
    takes_options = True

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        return AnswerField("radio", tuple(options))

    def answers(self, options: Sequence[AnswerOption]) -> list[str]:
        return [option.key for option in options]

    def check(self, options: Sequence[AnswerOption]) -> None:
        """Require every key to be a range, so that segments can rely on it."""
        for option in options:
            found = WRITTEN.fullmatch(option.key)
            if not found or (found["low"] and float(found["low"]) > float(found["high"])):
                raise Invalid("not_a_range", f"{option.key!r} is not a range. Write 25-34, <25 or 55+.", "options")

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> str:
        return one_of(only_one(given, gettext_noop("Choose a range, or choose “Not now”.")), options)


band = Band()
