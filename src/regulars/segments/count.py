"""How many: in, out and unknown, and which part of the condition costs how many. Asked of the lake."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from regulars.base import clock
from regulars.base.conditions import Condition, Schema, to_text, where
from regulars.base.conditions.tree import And
from regulars.base.lake.query import query
from regulars.consent.purposes import get_purpose

from .save import condition_of

LAKE = Schema(terms="p.terms", person="p.profile_id", events="events")
SAMPLE = 5


@dataclass(frozen=True)
class Drop:
    """One part of the condition: how many are left after it (and those before), how many there would be without it."""

    text: str
    remaining: int
    without: int


@dataclass(frozen=True)
class Count:
    """`inside` + `unknown` + `outside` is everybody. `sample` are ids of a few of those inside."""

    inside: int
    unknown: int
    outside: int
    drops: list[Drop]
    sample: list[int]

    @property
    def everybody(self) -> int:
        return self.inside + self.unknown + self.outside


def count(text: str, purpose: str) -> Count:
    """Count a condition over everybody, by what may be used for the purpose. Raises `ConditionError` and `DomainError`."""
    condition = condition_of(text)
    parts = condition.parts if isinstance(condition, And) else (condition,)
    [row] = query(_counting(parts, get_purpose(purpose).key))
    inside, outside, everybody, *drops, sample = row
    return Count(
        inside=inside,
        outside=outside,
        unknown=everybody - inside - outside,
        drops=[
            Drop(to_text(part), remaining, without)
            for part, remaining, without in zip(parts, drops[::2], drops[1::2], strict=True)
        ],
        sample=list(sample or []),
    )


def _counting(parts: tuple[Condition, ...], purpose: str) -> str:
    """One pass: every part evaluated once per person, everything else arithmetic over the results."""
    now = clock.now()
    names = [f"part{number}" for number in range(len(parts))]
    people = exp.select(
        "p.profile_id",
        *(exp.alias_(where(part, LAKE, "duckdb", now), name) for part, name in zip(parts, names, strict=True)),
    )
    people = people.from_("views AS p").where(exp.column("purpose", "p").eq(purpose))
    columns = [exp.column(name) for name in names]
    measures = [_how_many(_all(columns)), _how_many(exp.not_(_all(columns))), exp.Count(this=exp.Star())]
    for number in range(len(columns)):
        measures.append(_how_many(_all(columns[: number + 1])))
        measures.append(_how_many(_all(columns[:number] + columns[number + 1 :])))
    sample = f"LIST_SLICE(LIST(profile_id ORDER BY HASH(profile_id)) FILTER(WHERE {_all(columns).sql('duckdb')}), 1, {SAMPLE})"
    return exp.select(*measures, sample, dialect="duckdb").from_(people.subquery("people")).sql(dialect="duckdb")


def _how_many(truth: exp.Expr) -> exp.Expr:
    """Of nobody at all DuckDB says NULL, not 0."""
    return exp.func("COALESCE", exp.CountIf(this=truth), exp.Literal.number(0))


def _all(columns: list[exp.Column]) -> exp.Expr:
    return exp.paren(exp.and_(*(column.copy() for column in columns))) if columns else exp.true()
