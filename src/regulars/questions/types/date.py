"""A day. The value is an ISO date such as `1988-05-31`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..question_type import AnswerField, AnswerOption, BadAnswer, QuestionType, only_one

EARLIEST = dt.date(1900, 1, 1)


class Date(QuestionType):
    label = "A date"
    attribute_type = "date"

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        return AnswerField("input", input_type="date", max_length=10, hint=_("Year, month and day: 1988-05-31."))

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> str:
        text = only_one(given, gettext_noop("Give a date, or choose “Not now”."))
        try:
            day = dt.datetime.strptime(text, "%Y-%m-%d").date()
        except ValueError:
            raise BadAnswer("not_a_date", gettext_noop("Give a date as year, month and day: 1988-05-31.")) from None
        if day < EARLIEST:
            raise BadAnswer("too_early", gettext_noop("Give a date after 1900."))
        return day.isoformat()


date = Date()
