"""A country, chosen from a list in the customer's language. The value is its ISO 3166 code: `PT`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from django.utils.translation import gettext_noop

from ..question_type import AnswerField, AnswerOption, BadAnswer, QuestionType, only_one

NOT_COUNTRIES = {"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ"}  # groups and placeholders of CLDR


class Country(QuestionType):
    label = "A country"

    def field(self, options: Sequence[AnswerOption], locale: str = "en") -> AnswerField:
        return AnswerField("select", countries(locale), autocomplete="country")

    def read(self, given: Sequence[str], options: Sequence[AnswerOption]) -> str:
        code = only_one(given, gettext_noop("Choose a country, or choose “Not now”.")).upper()
        if code not in {option.key for option in countries("en")}:
            raise BadAnswer("not_a_country", gettext_noop("Choose a country from the list."))
        return code


@lru_cache(maxsize=64)
def countries(locale: str) -> tuple[AnswerOption, ...]:
    """Return every country, in the order of their names."""
    try:
        names = Locale.parse(locale, sep="-").territories
    except (UnknownLocaleError, ValueError):
        names = Locale("en").territories
    found = [AnswerOption(code, name) for code, name in names.items() if code.isalpha() and code not in NOT_COUNTRIES]
    return tuple(sorted(found, key=lambda option: option.label.casefold()))


country = Country()
