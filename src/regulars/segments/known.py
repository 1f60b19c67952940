"""An overview for the sentence builder: known attributes and their common values for a purpose, and recent events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from sqlglot import exp

from regulars.base import clock
from regulars.base.conditions.document_terms import CONSENT_PATH
from regulars.base.lake.query import DIALECT, query
from regulars.consent.countable import events_open_to

RECENT = dt.timedelta(days=90)
MOST_EVENTS = 40
MOST_VALUES = 12
RARE = 10  # a value shared by fewer people nearly identifies a person
SCANNED_EVENTS = 20_000  # events scanned for their properties


@dataclass(frozen=True)
class KnownAttribute:
    """The number of people with a known value, and the common values with their counts, most frequent first."""

    people: int = 0
    values: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SeenEvent:
    """The number of recent events of one name, of the people who did it, and its properties with common values.

    Each value has the number of people who had it.
    """

    times: int = 0
    people: int = 0
    properties: dict[str, dict[str, int]] = field(default_factory=dict)

    def of_groups(self) -> SeenEvent:
        """Return it without the properties and values of a few people: ten events of one are no group."""
        shared = {
            key: {value: people for value, people in values.items() if people >= RARE}
            for key, values in self.properties.items()
        }
        return replace(self, properties={key: values for key, values in shared.items() if values})


@dataclass(frozen=True)
class Overview:
    """What can be chosen. `everybody` is the number of people of whom the lake has a view for the purpose."""

    everybody: int
    attributes: dict[str, KnownAttribute]
    events: dict[str, SeenEvent]

    def of_groups(self) -> Overview:
        """Return it for those who may not see customers: without what only a few people have or did."""
        attributes = {key: each for key, each in self.attributes.items() if each.people >= RARE}
        events = {name: each.of_groups() for name, each in self.events.items() if each.people >= RARE}
        return Overview(self.everybody, attributes, events)


def overview(purpose: str, countable: Collection[str]) -> Overview:
    """Return what can be chosen for a purpose. Values are listed only for `countable` attributes, never names or addresses.

    Events are those that may be used for the purpose.
    """
    [(everybody,)] = query(exp.select("COUNT(*)").from_("views").where(_for(purpose)))
    found = exp.select("UNNEST(JSON_KEYS(terms)) AS key", dialect=DIALECT).from_("views").where(_for(purpose))
    keys = exp.select("key", "COUNT(*)").from_(found.subquery("keys")).group_by("key")
    people = {str(key): int(number) for key, number in query(keys)}
    values: dict[str, dict[str, int]] = {}
    for key, term, number in query(_values(purpose, countable)) if countable else []:
        values.setdefault(key, {})[str(term)[2:]] = int(number)
    names = (
        exp.select("name", "COUNT(*) AS times", "COUNT(DISTINCT profile_id)")
        .from_("events")
        .where(_since(), events_open_to(purpose))
        .group_by("name")
    )
    names = names.order_by("times DESC", "name").limit(MOST_EVENTS)
    properties: dict[str, dict[str, dict[str, int]]] = {}
    for name, property_, term, number in query(_properties(purpose)):
        seen = properties.setdefault(name, {}).setdefault(property_, {})
        if term is not None:
            seen[str(term)[2:]] = int(number)
    events = {
        name: SeenEvent(int(times), int(number), properties.get(name, {}))
        for name, times, number in query(names)
        if name
    }
    return Overview(
        everybody,
        {key: KnownAttribute(number, values.get(key, {})) for key, number in people.items() if key != CONSENT_PATH},
        events,
    )


def _for(purpose: str) -> exp.Expr:
    return exp.column("purpose").eq(purpose)


def _values(purpose: str, countable: Collection[str]) -> exp.Select:
    """Select every value of the countable attributes that is not rare, the most frequent first."""
    pairs = []
    for key in sorted(countable):
        name, path = (exp.Literal.string(each).sql(DIALECT) for each in (key, '$."' + key.replace('"', "") + '"'))
        pairs.append(f"{{'key': {name}, 'terms': FROM_JSON(JSON_EXTRACT(terms, {path}), '[\"VARCHAR\"]')}}")
    each = exp.select(f"UNNEST([{', '.join(pairs)}]) AS pair", dialect=DIALECT).from_("views").where(_for(purpose))
    terms = exp.select("pair.key AS key", "UNNEST(pair.terms) AS term", dialect=DIALECT).from_(each.subquery("each"))
    counted = exp.select("key", "term", "COUNT(*) AS number").from_(terms.subquery("found")).group_by("key", "term")
    return counted.having(f"COUNT(*) >= {RARE}").order_by("key", "number DESC", "term")


def _since() -> exp.Expr:
    instant = (clock.now() - RECENT).strftime("%Y-%m-%d %H:%M:%S")
    return exp.GTE(this=exp.column("at", quoted=True), expression=exp.cast(exp.Literal.string(instant), "TIMESTAMP"))


def _properties(purpose: str) -> exp.Select:
    """Select (event, property, value) of the newest events; no value for a property whose values are mostly distinct."""
    newest = exp.select("profile_id", "name", "terms").from_("events").where(_since(), events_open_to(purpose))
    newest = newest.order_by('"at" DESC').limit(SCANNED_EVENTS)
    keys = exp.select("profile_id", "name", "terms", "UNNEST(JSON_KEYS(terms)) AS key", dialect=DIALECT).from_(
        newest.subquery("newest")
    )
    first = "JSON_EXTRACT_STRING(terms, '$.\"' || key || '\"[0]')"
    pairs = exp.select("profile_id", "name", "key", f"{first} AS term", dialect=DIALECT).from_(keys.subquery("keys"))
    pairs = pairs.where("NOT REGEXP_MATCHES(key, '[\"\\\\]')", dialect=DIALECT)  # no JSON path can name these
    numbers = "COUNT(*) AS number", "COUNT(DISTINCT profile_id) AS people"
    counted = exp.select("name", "key", "term", *numbers).from_(pairs.subquery("pairs"))
    counted = counted.group_by("name", "key", "term")
    ranked = exp.select(
        "name",
        "key",
        "term",
        "number",
        "people",
        "ROW_NUMBER() OVER (PARTITION BY name, key ORDER BY number DESC, term) AS place",
        "COUNT(*) OVER (PARTITION BY name, key) AS kinds",
        dialect=DIALECT,
    ).from_(counted.subquery("counted"))
    few = f"kinds <= {MOST_VALUES * 2} AND number >= {RARE}"
    shown = exp.select("name", "key", f"CASE WHEN {few} THEN term END AS term", "people", dialect=DIALECT)
    shown = shown.from_(ranked.subquery("ranked")).where(f"place = 1 OR ({few} AND place <= {MOST_VALUES})")
    return shown.order_by("name", "key", "place")
