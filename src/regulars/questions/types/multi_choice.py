"""Any of several answers. The value is the list of the options' keys, in the order of the options."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..question_type import AnswerField, AnswerOption, BadAnswer, QuestionType, one_of


class MultiChoice(QuestionType):
    label = "Any of several"
    attribute_type = "list"
    takes_options = True

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        return AnswerField("checkbox", tuple(options), hint=_("Choose as many as you like."))

    def answers(self, options: Sequence[AnswerOption]) -> list[str]:
        return [option.key for option in options]

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> list[str]:
        chosen = {one_of(key, options) for key in given}
        if not chosen:
            raise BadAnswer("no_answer", gettext_noop("Choose at least one answer, or choose “Not now”."))
        return [option.key for option in options if option.key in chosen]


multi_choice = MultiChoice()
