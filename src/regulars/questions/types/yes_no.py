"""Yes or no. The value is a boolean."""

from __future__ import annotations

from collections.abc import Sequence

from regulars.questions.declare import Field, Option, one_of, only_one

ANSWERS = (Option("yes", "Yes"), Option("no", "No"))


class YesNo:
    label = "Yes or no"
    attribute_type = "boolean"
    takes_options = False

    def field(self, options: Sequence[Option]) -> Field:
        return Field("radio", ANSWERS)

    def read(self, given: Sequence[str], options: Sequence[Option]) -> bool:
        return one_of(only_one(given, "Choose yes or no, or pass."), ANSWERS) == "yes"


yes_no = YesNo()
