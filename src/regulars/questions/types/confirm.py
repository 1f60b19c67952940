"""Check what somebody else told us: "We think you live in {value}. Is that right?" With options, a correction is one of them.

Asked only when there is something to confirm. Yes makes it her own word; another answer corrects it.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_noop

from regulars.base.errors import Invalid

from ..declare import Field, Option, one_of, only_one
from .short_text import short_text


class Confirm:
    label = "Confirm what we think"
    attribute_type = "text"
    takes_options = False
    confirms = True

    def field(self, options: Sequence[Option], locale: str = "en") -> Field:
        """How a correction is given."""
        return Field("select", tuple(options)) if options else short_text.field(options, locale)

    def check_text(self, text: str) -> None:
        if "{value}" not in text:
            raise Invalid("no_value_in_text", "Write {value} where the page should say what we think.", "text")

    def read(self, given: Sequence[str], options: Sequence[Option]) -> str:
        if options:
            return one_of(only_one(given, gettext_noop("Choose what is right, or pass.")), options)
        return short_text.read(given, options)


confirm = Confirm()
