"""From 1 to 5, with words at both ends: the first and the last option. The value is a whole number."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_noop

from ..question_type import AnswerField, AnswerOption, QuestionType, one_of, only_one

STEPS = range(1, 6)


class Scale(QuestionType):
    label = "From 1 to 5"
    attribute_type = "number"
    takes_options = True

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        """Return radio buttons rather than a slider: a slider cannot be left unanswered."""
        ends = {STEPS[0]: options[0].label, STEPS[-1]: options[-1].label} if options else {}
        return AnswerField(
            "radio", tuple(AnswerOption(str(n), f"{n} – {ends[n]}" if n in ends else str(n)) for n in STEPS)
        )

    def answers(self, options: Sequence[AnswerOption]) -> list[int]:
        return list(STEPS)

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> int:
        return int(
            one_of(
                only_one(given, gettext_noop("Choose a number from 1 to 5, or choose “Not now”.")),
                self.field(options).options,
            )
        )


scale = Scale()
