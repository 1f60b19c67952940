"""Hypothesis strategies: random people, and random conditions on their attributes and events."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from hypothesis import strategies as st

from regulars.base.conditions.tree import (
    And,
    Between,
    Bound,
    Consented,
    Did,
    Equals,
    Everything,
    Exists,
    Matches,
    Not,
    Or,
)

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
FIELDS = ("city", "name", "score", "tags", "user_metadata.deep.x", "vip", "born")
NUMERIC_TEXTS = (
    "9",
    "100 EUR",
    "-100",
    "007",
    "-0",
    "9.50",
    "1e3",
    "9\n",
    " 9",
    "1e999",
    "٣",
    "9007199254740993",
    "2024",
)
WORDS = (
    "Porto",
    "porto",
    "Évora",
    "O'Neil",
    '5" nail',
    "a%b_c",
    "x*[y]?",
    "true",
    "13",
    "7.5",
    "-2",
    "2025-05",
    "s:n",
    "^",
    "\\",
    *NUMERIC_TEXTS,
)
TEXTS = st.sampled_from(WORDS)
# Around the largest integer that a double has, the ends of 64 bits, and beyond every type of an engine.
LARGE = [2**53, 2**53 + 1, 2**53 - 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 + 1, 10**40 + 1, 10**400]
NUMBERS = st.sampled_from([0, 7, 7.0, 7.5, 13, -2, 10_000_000_000, 1e-7, 0.1, 1e22, 1e300, -7.5, *LARGE])
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none())
DATES = st.sampled_from(
    ["2025-05-17", "2025-05-17T12:30:00.000Z", "2025-06", "2026-11-23T00:00:00.000Z", "2026-11-24", "2026-12-01"]
)
BOUNDS = st.sampled_from(["now", "now-30d", "now+7d", "5", "50", "-0.5", "0.1", "1e22", "2026", *map(str, LARGE[:-1])])
EVENTS = ("Product Viewed", "Order Completed")


@dataclass
class Individual:
    """Return `document` and `events` [(name, at, properties)] of a random person."""

    document: dict
    events: list


@st.composite
def individuals(draw):
    document = {}
    for field in FIELDS:
        value = draw(st.one_of(SCALARS, st.lists(SCALARS, max_size=3), DATES, st.none()))
        if field == "user_metadata.deep.x":
            document["user_metadata"] = {"deep": [{"x": value}, {"x": draw(SCALARS)}]}
        else:
            document[field] = value
    document["consent"] = draw(st.lists(st.sampled_from(["message", "share"]), max_size=2))
    moments = st.integers(0, 100 * 86400).map(lambda seconds: NOW - dt.timedelta(seconds=seconds))
    happened = st.tuples(
        st.sampled_from(EVENTS),
        moments,
        st.fixed_dictionaries(
            {},
            optional={"category": TEXTS, "price": st.integers(0, 20) | NUMBERS, "sizes": st.lists(TEXTS, max_size=2)},
        ),
    )
    return Individual(document, draw(st.lists(happened, max_size=4)))


def leaves(fields):
    field = st.sampled_from(fields)
    bound = st.one_of(st.none(), st.builds(Bound, st.one_of(TEXTS, DATES, BOUNDS), st.booleans()))
    pieces = st.lists(st.sampled_from(["", "o", "Por", "to", "%", "*", "^", "É", '"', "S"]), min_size=2, max_size=3)
    return st.one_of(
        st.builds(Equals, field, st.one_of(TEXTS, DATES)),
        st.builds(Matches, field, pieces.filter(any).map(tuple)),
        st.builds(Between, field, bound, bound),
        st.builds(Exists, field),
    )


def joined(parts):
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(Not, parts), st.builds(And, several), st.builds(Or, several))


def behaviours():
    where = st.none() | st.recursive(leaves(("category", "price", "sizes")), joined, max_leaves=3)
    common = {"event": st.sampled_from(EVENTS), "where": where, "within_days": st.sampled_from([None, 1, 30, 90])}
    compared = {
        "comparison": st.sampled_from([">=", "<=", ">", "<", "="]),
        "number": st.sampled_from([0.0, 1.0, 2.0, 30.0]),
    }
    plain = st.builds(Did, **common, **compared, aggregate=st.sampled_from(["count", "days", "first", "last"]))
    return plain | st.builds(Did, **common, **compared, aggregate=st.just("sum"), of=st.just("price"))


def conditions():
    leaf = st.one_of(
        leaves(FIELDS), behaviours(), st.builds(Consented, st.sampled_from(["message", "share"])), st.just(Everything())
    )
    return st.recursive(leaf, joined, max_leaves=6)
