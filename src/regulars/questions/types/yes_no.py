"""Yes or no. The value is a boolean."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..declare import Field, Option, one_of, only_one

ANSWERS = (Option("yes", gettext_noop("Yes")), Option("no", gettext_noop("No")))


class YesNo:
    label = "Yes or no"
    attribute_type = "boolean"
    takes_options = False

    def field(self, options: Sequence[Option], locale: str = "en") -> Field:
        """In the words of a translation's options where it has them, else in the house's."""
        labels = {option.key: option.label for option in options}
        return Field("radio", tuple(Option(each.key, labels.get(each.key, _(each.label))) for each in ANSWERS))

    def answers(self, options: Sequence[Option]) -> list[bool]:
        return [True, False]

    def read(self, given: Sequence[str], options: Sequence[Option]) -> bool:
        return one_of(only_one(given, gettext_noop("Choose yes or no, or pass.")), ANSWERS) == "yes"


yes_no = YesNo()
