"""What those may count who may not see customers: nothing small, and nothing about one customer.

Numbers below ten are not shown and all others are rounded down to tens, always the same way, so that asking again adds
nothing. A condition may not name what identifies a customer, and none of its parts may move the number by fewer than ten:
the difference of two counts is a count too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from regulars.base.conditions import Condition, mentions
from regulars.base.conditions.document_terms import CASELESS
from regulars.base.conditions.tree import Did, walk
from regulars.base.errors import Forbidden
from regulars.profiles.models import Attribute

SMALL_GROUP = 10  # a group with fewer customers is never shown as a number
# Names and contact data: their values are never listed or counted.
PRIVATE_CATEGORIES = ("user.name", "user.contact.email", "user.contact.phone_number", "user.account")
# Properties of events that name a customer, by the last part of their path, without `_`.
PRIVATE_PROPERTIES = {name.replace("_", "") for name in CASELESS} | {"userid", "username", "phone", "phonenumber"}


def rounded(number: int) -> int:
    """Return the number rounded down to tens; 0 stands for "fewer than ten", none included."""
    return number - number % SMALL_GROUP


def rounded_groups(rows: Iterable[tuple[str, int]], rest: str) -> list[tuple[str, int]]:
    """Round each group of a table; those too small to show are added up as `rest`, if together they are not."""
    rows = list(rows)
    shown = [(label, rounded(number)) for label, number in rows if rounded(number) and label != rest]
    others = rounded(sum(number for label, number in rows if label == rest or not rounded(number)))
    return [*shown, *([(rest, others)] if others else [])]


def identifies(attribute: Attribute) -> bool:
    """Return whether values of the attribute name a customer or are of a special category."""
    return attribute.category.startswith(PRIVATE_CATEGORIES) or attribute.sensitivity != Attribute.Sensitivity.NORMAL


def refuse_identifying(condition: Condition, attributes: Mapping[str, Attribute]) -> None:
    """Raise `Forbidden("needs_to_see_customers")` for a condition about what identifies a customer."""
    if found := identifying_fields(condition, attributes):
        raise Forbidden(
            "needs_to_see_customers",
            f"Only those who may see customers can count by {', '.join(found)}: it can name one customer.",
        )


def identifying_fields(condition: Condition, attributes: Mapping[str, Attribute]) -> list[str]:
    """Return what of a condition identifies a customer, in order of names.

    Such are names, contact data, special categories, and everything that no attribute declares.
    """
    fields = mentions(condition).fields
    properties = {
        name
        for node in walk(condition)
        if isinstance(node, Did) and node.where is not None
        for name in mentions(node.where).fields
    }
    found = {field for field in fields if field not in attributes or identifies(attributes[field])}
    found |= {name for name in properties if name.rpartition(".")[2].replace("_", "").lower() in PRIVATE_PROPERTIES}
    return sorted(found)
