"""A few words in the customer's own language."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from django.utils.translation import gettext_noop

from ..declare import BadAnswer, Field, Option, only_one

MOST = 200


class ShortText:
    label = "A few words"
    attribute_type = "text"
    takes_options = False

    def field(self, options: Sequence[Option], locale: str = "en") -> Field:
        return Field("input", max_length=MOST)

    def read(self, given: Sequence[str], options: Sequence[Option]) -> str:
        """NFC, on one line, without control characters, at most 200 characters."""
        text = unicodedata.normalize("NFC", only_one(given, gettext_noop("Write a few words, or pass.")))
        text = "".join(" " if character.isspace() else character for character in text)
        text = "".join(character for character in text if unicodedata.category(character) != "Cc").strip()
        if not text:
            raise BadAnswer("no_answer", gettext_noop("Write a few words, or pass."))
        if len(text) > MOST:
            raise BadAnswer("too_long", gettext_noop("Use at most 200 characters."))
        return text


short_text = ShortText()
