"""One of several pictures with a word below each ("which jacket?"). The value is the option's key."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_noop

from regulars.base.errors import Invalid

from ..declare import Field, Option, one_of, only_one


class Pick:
    label = "One of several pictures"
    attribute_type = "choice"
    takes_options = True

    def field(self, options: Sequence[Option], locale: str = "en") -> Field:
        return Field("cards", tuple(options))

    def answers(self, options: Sequence[Option]) -> list[str]:
        return [option.key for option in options]

    def check(self, options: Sequence[Option]) -> None:
        """A picture comes from this house or over https: the page's policy lets no other through."""
        for option in options:
            if option.image and not option.image.startswith(("https://", "/")):
                raise Invalid(
                    "bad_image",
                    f"The picture of {option.label!r} needs an address that begins with https://.",
                    "options",
                )

    def read(self, given: Sequence[str], options: Sequence[Option]) -> str:
        return one_of(only_one(given, gettext_noop("Choose one, or pass.")), options)


pick = Pick()
