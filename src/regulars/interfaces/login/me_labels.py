"""The house's own names of attributes, answers and events in her language. What the business named is shown as it wrote it.

An operator who renames a standard attribute is read as she wrote it, too: there is no translation of her word.
"""

from __future__ import annotations

from dataclasses import replace

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from regulars.usecases.customer_data import CustomerFact

# The console speaks of her; her own page speaks to her.
TO_HER = {
    "Median household income of her area": gettext_noop("Median household income of your area"),
    "Median age of her area": gettext_noop("Median age of your area"),
    "Country of her network": gettext_noop("Country of your network"),
    "Region of her network": gettext_noop("Region of your network"),
    "Domain of her e-mail": gettext_noop("Domain of your e-mail"),
    "Country of her phone": gettext_noop("Country of your phone"),
}
ATTRIBUTES = (
    gettext_noop("E-mail"),
    gettext_noop("E-mail verified"),
    gettext_noop("Phone"),
    gettext_noop("Phone verified"),
    gettext_noop("User name"),
    gettext_noop("Name"),
    gettext_noop("First name"),
    gettext_noop("Last name"),
    gettext_noop("Nickname"),
    gettext_noop("Picture"),
    gettext_noop("Language"),
    gettext_noop("Gender"),
    gettext_noop("Date of birth"),
    gettext_noop("Age"),
    gettext_noop("Interests"),
    gettext_noop("City"),
    gettext_noop("Postal code"),
    gettext_noop("Country"),
    gettext_noop("Continent"),
    gettext_noop("Region"),
    gettext_noop("Time zone"),
    gettext_noop("Kind of e-mail address"),
    gettext_noop("Kind of phone"),
    gettext_noop("Phone, as machines dial it"),
    gettext_noop("Employer"),
    gettext_noop("Job title"),
)
OPTIONS = (
    gettext_noop("18 to 24"),
    gettext_noop("25 to 34"),
    gettext_noop("35 to 44"),
    gettext_noop("45 to 54"),
    gettext_noop("55 or older"),
    gettext_noop("Woman"),
    gettext_noop("Man"),
    gettext_noop("Another word fits me better"),
    gettext_noop("Africa"),
    gettext_noop("Asia"),
    gettext_noop("Europe"),
    gettext_noop("North America"),
    gettext_noop("Oceania"),
    gettext_noop("South America"),
    gettext_noop("A company's"),
    gettext_noop("A free provider's"),
    gettext_noop("A throw-away one"),
)
EVENTS = (
    gettext_noop("Signed Up"),
    gettext_noop("Signed In"),
    gettext_noop("Question Answered"),
    gettext_noop("Question Passed"),
    gettext_noop("Question Declined"),
    gettext_noop("Question Left Open"),
    gettext_noop("Profile Corrected"),
)


def label(name: str) -> str:
    """An attribute's name, an answer to choose, or what happened."""
    return _(TO_HER.get(name, name)) if name else ""


def in_her_words(fact: CustomerFact) -> CustomerFact:
    return replace(
        fact,
        label=label(fact.label),
        options={key: label(words) for key, words in fact.options.items()},
        follows_from=tuple(label(each) for each in fact.follows_from),
    )
