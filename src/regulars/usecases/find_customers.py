"""Find customers by the search language, a page at a time, with their identities and segments."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db import connection
from django.db.models import OuterRef, Prefetch, Subquery
from django.db.models.expressions import Combinable, RawSQL
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Coalesce
from sqlglot import exp

from regulars.base import clock
from regulars.base.conditions import DIALECT_OF, Condition, Schema, parse_search, where
from regulars.base.conditions.parse import BARE_FIELDS, wildcard
from regulars.base.conditions.tree import And, Or
from regulars.consent.view import current_views, has_outdated_views_sql
from regulars.profiles.document import HIDDEN_IDENTITIES
from regulars.profiles.known_customers import ANONYMOUS
from regulars.profiles.models import Attribute, Profile
from regulars.segments.models import Membership

OWN = ("user_id", "created_at", "updated_at", "last_login", "last_ip", "logins_count", "blocked")  # of the account
PLAIN = re.compile(r"[\w@.'+|-]+")
OPERATORS = frozenset({"AND", "OR", "NOT"})


@dataclass(frozen=True)
class CustomerPage:
    """Some customers, newest first; `next` is the `before` of the next page, 0 at the end."""

    people: list[Profile]
    next: int


def find_customers(text: str, limit: int = 50, before: int = 0) -> CustomerPage:
    """Return a page of the customers that match, with ids below `before` (0: from the newest). Raises `ConditionError`."""
    dialect = DIALECT_OF[connection.vendor]
    query = _customers().order_by("c.id DESC").limit(limit + 1)
    if before:
        query = query.where(exp.column("id", "c") < before)
    if words := text.split():
        condition: Condition
        if all(PLAIN.fullmatch(word) for word in words) and not OPERATORS.intersection(words):
            # Plain words are matched inside names and addresses, all of them; anything else is the search language.
            condition = And(
                tuple(Or(tuple(wildcard(field, ("", word, "")) for field in BARE_FIELDS)) for word in words)
            )
        else:
            condition = parse_search(text)
        query = _matching(query, condition, "serve", for_staff=True)
    with connection.cursor() as cursor:
        cursor.execute(query.sql(dialect=dialect))
        numbers = [number for (number,) in cursor.fetchall()]
    shown = numbers[:limit]
    joined = Prefetch("memberships", Membership.objects.filter(state=Membership.State.IN).select_related("segment"))
    people = Profile.objects.filter(pk__in=shown).order_by("-pk").prefetch_related("identities", joined)
    return CustomerPage(list(people), next=shown[-1] if len(numbers) > limit else 0)


def found_by_applications(text: str, purpose: str) -> RawSQL:
    """Return a subquery for the ids of the customers that an application finds by Auth0's user search for a purpose.

    It finds exactly what the application may read: a value that is closed is like one that is not known, and a customer
    without a permitted view has no values. Raises `ConditionError`.
    """
    query = _matching(_customers(), parse_search(text), purpose, for_staff=False)
    # sqlglot quotes every value; the database adapter still interprets percent signs
    return RawSQL(query.sql(dialect=DIALECT_OF[connection.vendor]).replace("%", "%%"), ())  # noqa: S611


def sortable_text(field: str, purpose: str) -> Combinable:
    """Return an expression for the text by which an application may sort by an attribute: as it reads it, absent if closed."""
    if Attribute.objects.filter(key=field).exclude(metadata_path="").exists():
        purpose = ""  # it stands in the metadata: no view has it, and PostgreSQL orders by no constant
    views = current_views().filter(profile=OuterRef("pk"), purpose=purpose)
    terms = Coalesce("shown_terms", "terms")
    return Subquery(views.values(first=KeyTextTransform(0, KeyTransform(field, terms)))[:1])


def _customers() -> exp.Select:
    found = exp.select("c.id").from_("profiles_profile AS c").where("c.merged_into_id IS NULL")
    return found.where(exp.column("user_id", "c").like(f"{ANONYMOUS}%").not_())


def _matching(query: exp.Select, condition: Condition, purpose: str, *, for_staff: bool) -> exp.Select:
    """Join the permitted views for the purpose, and keep the customers whose permitted values match."""
    of_purpose = exp.and_(
        "v.profile_id = c.id", exp.column("purpose_id", "v").eq(purpose), f"NOT {has_outdated_views_sql('c.id')}"
    )
    identities = ("c.terms", "identities")
    elsewhere: dict[str, tuple[tuple[str, str], ...]] = {name: (("c.terms", name),) for name in OWN}
    elsewhere["identities"] = (identities, ("c.terms", HIDDEN_IDENTITIES)) if for_staff else (identities,)
    terms = "COALESCE(v.terms, '{}')" if for_staff else "COALESCE(v.shown_terms, v.terms, '{}')"
    for key, path in Attribute.objects.exclude(metadata_path="").values_list("key", "metadata_path"):
        elsewhere |= {path: ((terms, key),), key: ()}
    schema = Schema(terms=terms, person="c.id", elsewhere=elsewhere)
    truth = where(condition, schema, DIALECT_OF[connection.vendor], clock.now(), world="closed")
    return query.join("consent_permittedview AS v", on=of_purpose, join_type="left").where(truth)


def customer_name(profile: Profile) -> str:
    """Return the name to show for a customer: their name, their e-mail, or their user id."""
    document = profile.document
    return str(document.get("name") or document.get("email") or profile.user_id)
