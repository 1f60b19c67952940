"""A phone number with its country code. The value is E.164: `+4930123456`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..question_type import AnswerField, AnswerOption, BadAnswer, QuestionType, only_one

WRITTEN = re.compile(r"\+[1-9][0-9]{6,14}")
NOISE = re.compile(r"\(0\)|[\s().\-/]")


class PhoneQuestion(QuestionType):
    label = "A phone number"

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        hint = _("With the country code: +49 30 123456.")
        return AnswerField("input", input_type="tel", inputmode="tel", autocomplete="tel", max_length=32, hint=hint)

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> str:
        number = NOISE.sub("", only_one(given, gettext_noop("Write a phone number, or choose “Not now”.")))
        number = "+" + number[2:] if number.startswith("00") else number
        if not WRITTEN.fullmatch(number):
            raise BadAnswer(
                "not_a_phone_number", gettext_noop("Write the number with its country code, such as +49 30 123456.")
            )
        return number


phone = PhoneQuestion()
