"""A plain statement and two equal buttons. The answer goes into the ledger, not among the facts, and is explicit."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from ..declare import Field, Option, one_of, only_one

ANSWERS = (Option("yes", gettext_noop("Yes, I agree")), Option("no", gettext_noop("No, I do not agree")))


class Consent:
    label = "A consent"
    attribute_type = "boolean"
    takes_options = False
    gives_consent = True

    def field(self, options: Sequence[Option], locale: str = "en") -> Field:
        labels = {option.key: option.label for option in options}
        return Field("consent", tuple(Option(each.key, labels.get(each.key, _(each.label))) for each in ANSWERS))

    def read(self, given: Sequence[str], options: Sequence[Option]) -> bool:
        return one_of(only_one(given, gettext_noop("Choose yes or no, or pass.")), ANSWERS) == "yes"


consent = Consent()
