"""A statement and two equal buttons. The answer is an explicit consent in the ledger, not a fact."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..question_type import AnswerField, AnswerOption, QuestionType, one_of, only_one

ANSWERS = (AnswerOption("yes", gettext_noop("Yes, I agree")), AnswerOption("no", gettext_noop("No, I do not agree")))


class Consent(QuestionType):
    label = "A consent"
    attribute_type = "boolean"
    gives_consent = True

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        labels = {option.key: option.label for option in options}
        return AnswerField(
            "consent", tuple(AnswerOption(each.key, labels.get(each.key, _(each.label))) for each in ANSWERS)
        )

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> bool:
        return one_of(only_one(given, gettext_noop("Choose yes or no, or choose “Not now”.")), ANSWERS) == "yes"


consent = Consent()
