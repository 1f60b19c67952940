"""Yes or no. The value is a boolean."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..question_type import AnswerField, AnswerOption, QuestionType, one_of, only_one

ANSWERS = (AnswerOption("yes", gettext_noop("Yes")), AnswerOption("no", gettext_noop("No")))


class YesNo(QuestionType):
    label = "Yes or no"
    attribute_type = "boolean"

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        """Label with a translation's options where it has them, else with the built-in labels."""
        labels = {option.key: option.label for option in options}
        return AnswerField(
            "radio", tuple(AnswerOption(each.key, labels.get(each.key, _(each.label))) for each in ANSWERS)
        )

    def answers(self, options: Sequence[AnswerOption]) -> list[bool]:
        return [True, False]

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> bool:
        return one_of(only_one(given, gettext_noop("Choose yes or no, or choose “Not now”.")), ANSWERS) == "yes"


yes_no = YesNo()
