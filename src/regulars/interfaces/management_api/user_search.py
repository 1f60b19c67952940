"""Auth0's user search over the operational database: the condition, the order and the total are all SQL."""

from __future__ import annotations

import re

from django.db import connection
from django.db.models import BooleanField, F, QuerySet
from django.db.models.expressions import Combinable, RawSQL
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Lower

from regulars.base import clock
from regulars.base.conditions import DIALECT_OF, ConditionError, Schema, parse_search, where
from regulars.base.conditions.document_terms import CASELESS
from regulars.interfaces.http_api.errors import invalid_query
from regulars.profiles.find import customers
from regulars.profiles.models import Profile

TABLE = Schema(terms="profiles_profile.terms", person="profiles_profile.id")
COLUMNS = {"user_id", "created_at", "updated_at", "last_login", "last_ip", "logins_count", "blocked"}
SORT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):(1|-1)")
NOT_SORTABLE = {"user_metadata", "app_metadata", "identities"}


def search(q: str, sort: str) -> QuerySet[Profile]:
    """Return the matching customers in a stable order, as a lazy query. Raises 400 `invalid_query_string`."""
    found = customers()
    if q.strip():
        found = found.filter(_condition(q))
    return found.order_by(_order(sort or "created_at:1"), "id")


def _condition(q: str) -> RawSQL:
    """Return the condition as SQL. sqlglot quotes every value; the database adapter still interprets percent signs."""
    dialect = DIALECT_OF[connection.vendor]
    try:
        tree = parse_search(q)
    except ConditionError as error:
        raise invalid_query(error.message) from None
    sql = where(tree, TABLE, dialect, clock.now(), world="closed").sql(dialect=dialect)
    return RawSQL(sql.replace("%", "%%"), (), output_field=BooleanField())  # noqa: S611


def _order(sort: str) -> Combinable:
    matched = SORT.fullmatch(sort)
    if matched is None:
        raise invalid_query("sort takes field:1 or field:-1, of a root attribute.")
    field, direction = matched.groups()
    if field in NOT_SORTABLE:
        raise invalid_query(f"Sorting by {field} is not supported.")
    text: Combinable = F(field) if field in COLUMNS else KeyTextTransform(field, "document")
    key = Lower(text) if field in CASELESS else text
    return key.asc(nulls_last=True) if direction == "1" else key.desc(nulls_last=True)  # type: ignore[attr-defined,no-any-return]
