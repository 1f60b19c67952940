"""One of several answers. The value is the option's key."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_noop

from ..question_type import AnswerField, AnswerOption, QuestionType, one_of, only_one


class SingleChoice(QuestionType):
    label = "One of several"
    attribute_type = "choice"
    takes_options = True

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        return AnswerField("radio", tuple(options))

    def answers(self, options: Sequence[AnswerOption]) -> list[str]:
        return [option.key for option in options]

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> str:
        return one_of(only_one(given, gettext_noop("Choose an answer, or choose “Not now”.")), options)


single_choice = SingleChoice()
