"""A few words in the customer's own language."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from django.utils.translation import gettext_noop

from ..question_type import AnswerField, AnswerOption, BadAnswer, QuestionType, only_one

MOST = 200


class ShortText(QuestionType):
    label = "A few words"

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        return AnswerField("input", max_length=MOST)

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> str:
        """Return it in NFC, on one line, without control characters, of at most 200 characters."""
        text = unicodedata.normalize("NFC", only_one(given, gettext_noop("Write a few words, or choose “Not now”.")))
        text = "".join(" " if character.isspace() else character for character in text)
        text = "".join(character for character in text if unicodedata.category(character) != "Cc").strip()
        if not text:
            raise BadAnswer("no_answer", gettext_noop("Write a few words, or choose “Not now”."))
        if len(text) > MOST:
            raise BadAnswer("too_long", gettext_noop("Use at most 200 characters."))
        return text


short_text = ShortText()
