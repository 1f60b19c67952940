"""Find customers by the search language, a page at a time, with their identities and segments."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db import connection
from django.db.models import Prefetch
from sqlglot import exp

from regulars.base import clock
from regulars.base.conditions import DIALECT_OF, Condition, Schema, parse_search, where
from regulars.base.conditions.parse import BARE_FIELDS, wildcard
from regulars.base.conditions.tree import And, Or
from regulars.profiles.find import ANONYMOUS
from regulars.profiles.models import Profile
from regulars.segments.models import Membership

PLAIN = re.compile(r"[\w@.'+|-]+")
OPERATORS = frozenset({"AND", "OR", "NOT"})
TABLE = Schema(terms="p.terms", person="p.id")


@dataclass(frozen=True)
class CustomerPage:
    """Some customers, newest first; `next` is the `before` of the next page, 0 at the end."""

    people: list[Profile]
    next: int


def find_customers(text: str, limit: int = 50, before: int = 0) -> CustomerPage:
    """Return a page of the customers that match, with ids below `before` (0: from the newest). Raises `ConditionError`."""
    dialect = DIALECT_OF[connection.vendor]
    query = (
        exp.select("p.id")
        .from_("profiles_profile AS p")
        .where("p.merged_into_id IS NULL")
        .where(exp.column("user_id", "p").like(f"{ANONYMOUS}%").not_())
        .order_by("p.id DESC")
        .limit(limit + 1)
    )
    if before:
        query = query.where(exp.column("id", "p") < before)
    if words := text.split():
        condition: Condition
        if all(PLAIN.fullmatch(word) for word in words) and not OPERATORS.intersection(words):
            # Plain words are matched inside names and addresses, all of them; anything else is the search language.
            condition = And(
                tuple(Or(tuple(wildcard(field, ("", word, "")) for field in BARE_FIELDS)) for word in words)
            )
        else:
            condition = parse_search(text)
        query = query.where(where(condition, TABLE, dialect, clock.now(), world="closed"))
    with connection.cursor() as cursor:
        cursor.execute(query.sql(dialect=dialect))
        numbers = [number for (number,) in cursor.fetchall()]
    shown = numbers[:limit]
    joined = Prefetch("memberships", Membership.objects.filter(state=Membership.State.IN).select_related("segment"))
    people = Profile.objects.filter(pk__in=shown).order_by("-pk").prefetch_related("identities", joined)
    return CustomerPage(list(people), next=shown[-1] if len(numbers) > limit else 0)


def customer_name(profile: Profile) -> str:
    """Return the name to show for a customer: their name, their e-mail, or their user id."""
    document = profile.document
    return str(document.get("name") or document.get("email") or profile.user_id)
