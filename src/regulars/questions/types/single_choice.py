"""One of several answers. The value is the option's key."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_noop

from ..declare import Field, Option, one_of, only_one


class SingleChoice:
    label = "One of several"
    attribute_type = "choice"
    takes_options = True

    def field(self, options: Sequence[Option], locale: str = "en") -> Field:
        return Field("radio", tuple(options))

    def answers(self, options: Sequence[Option]) -> list[str]:
        return [option.key for option in options]

    def read(self, given: Sequence[str], options: Sequence[Option]) -> str:
        return one_of(only_one(given, gettext_noop("Choose an answer, or pass.")), options)


single_choice = SingleChoice()
