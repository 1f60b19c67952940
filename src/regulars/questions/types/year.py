"""A year of birth, instead of a whole birthday: more people give it. The value is a whole number."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from regulars.base import clock

from ..question_type import AnswerField, AnswerOption, BadAnswer, QuestionType, only_one

EARLIEST = 1900


class Year(QuestionType):
    label = "A year of birth"
    attribute_type = "number"

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        return AnswerField(
            "input", inputmode="numeric", autocomplete="bday-year", max_length=4, hint=_("Four digits: 1988.")
        )

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> int:
        """Refuse years in the future; too young is an answer too, after which no question is shown."""
        text = only_one(given, gettext_noop("Write a year, or choose “Not now”."))
        if not (text.isascii() and text.isdigit() and len(text) == 4):
            raise BadAnswer("not_a_year", gettext_noop("Write the year in four digits, such as 1988."))
        if not EARLIEST <= int(text) <= clock.today().year:
            raise BadAnswer("year_out_of_range", gettext_noop("Write a year from 1900 to this year."))
        return int(text)


year = Year()
