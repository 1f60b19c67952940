"""One of several pictures with a label below each ("which jacket?"). The value is the option's key."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_noop

from regulars.base.errors import Invalid

from ..question_type import AnswerField, AnswerOption, QuestionType, one_of, only_one


class Pick(QuestionType):
    label = "One of several pictures"
    attribute_type = "choice"
    takes_options = True

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        return AnswerField("cards", tuple(options))

    def answers(self, options: Sequence[AnswerOption]) -> list[str]:
        return [option.key for option in options]

    def check(self, options: Sequence[AnswerOption]) -> None:
        """Require pictures from this site or over https: the page's content security policy blocks all others."""
        for option in options:
            if option.image and not option.image.startswith(("https://", "/")):
                raise Invalid(
                    "bad_image",
                    f"The picture of {option.label!r} needs an address that begins with https://.",
                    "options",
                )

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> str:
        return one_of(only_one(given, gettext_noop("Choose one, or choose “Not now”.")), options)


pick = Pick()
