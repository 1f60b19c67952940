"""Translate a condition over every person into a SQL tree for SQLite, PostgreSQL, DuckDB and Spark.

The tree is built with sqlglot, which quotes every value and prints each dialect. NULL is Kleene's unknown, so AND, OR and
NOT need no special case; the closed world differs only where a missing path is met.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from sqlglot import exp

from . import range_bounds
from .dialects import DIALECTS, Dialect
from .document_terms import CONSENT_PATH, fold_case, literal_terms
from .range_bounds import bounded_days
from .tree import And, Between, Condition, Consented, Did, Equals, Everything, Exists, InSegment, Matches, Not, Or

World = Literal["open", "closed"]
Sql = exp.Expr


@dataclass(frozen=True)
class Schema:
    """The columns and tables of the query around the condition.

    `terms` is the column with the person's terms (JSON), `person` the person's id, `events` the table of events with the
    columns profile_id, name, at and terms. Both columns are written `alias.column`.
    """

    terms: str = "p.terms"
    person: str = "p.profile_id"
    events: str = "events_event"


def where(condition: Condition, schema: Schema, dialect: str, now: dt.datetime, world: World = "open") -> Sql:
    """Return a boolean SQL expression: TRUE, FALSE or (open world only) NULL. Print it with `.sql(dialect=…)`.

    `dialect` is `sqlite`, `postgres`, `duckdb` or `spark`.
    """
    return _Writer(schema, DIALECTS[dialect], now, world, exp.column(*reversed(schema.terms.split(".")))).write(
        condition
    )


@dataclass(frozen=True)
class _Writer:
    schema: Schema
    dialect: Dialect
    now: dt.datetime
    world: World
    document: Sql

    def write(self, condition: Condition) -> Sql:
        match condition:
            case Everything():
                return exp.true()
            case And(parts):
                return exp.and_(*map(self.write, parts))
            case Or(parts):
                return exp.or_(*map(self.write, parts))
            case Not(part):
                return exp.not_(exp.paren(self.write(part)))
            case Exists(path):
                return self.dialect.has(self.document, path)
            case Consented(purpose):
                return self._any(CONSENT_PATH, lambda term: exp.EQ(this=term, expression=_text(f"s:{purpose}")))
            case Did():
                return exp.paren(self._did(condition))
            case InSegment(slug):
                raise ValueError(f"segment {slug!r} was not expanded")
        return self._about(condition)

    def _about(self, condition: Equals | Matches | Between) -> Sql:
        found = self._any(condition.field, self._test(condition))
        if self.world == "closed":
            return found
        return exp.Case(ifs=[exp.If(this=self.dialect.has(self.document, condition.field), true=found)])

    def _any(self, path: str, test: Callable[[Sql], Sql]) -> Sql:
        return self.dialect.any_term(self.document, path, test)

    def _test(self, condition: Equals | Matches | Between) -> Callable[[Sql], Sql]:
        match condition:
            case Equals(path, value):
                wanted = [_text(term) for term in literal_terms(path, range_bounds.literal_time(value, self.now))]
                return lambda term: exp.In(this=term, expressions=[each.copy() for each in wanted])
            case Matches(path, pieces):
                return lambda term: self.dialect.like(
                    term,
                    ["s:" + fold_case(path, pieces[0]), *(fold_case(path, p) for p in pieces[1:])],
                )
            case Between():
                text, number = range_bounds.text_range(condition, self.now), range_bounds.number_range(condition)
                return lambda term: exp.paren(
                    exp.or_(self._text_within(term, text), *self._number_within(term, number))
                )

    def _text_within(self, term: Sql, between: range_bounds.TextRange) -> Sql:
        """`s:` opens the texts and `;` is the character after `:`, so a range needs no substring and can use an index."""
        ordered = self.dialect.by_code_point(term)
        low = exp.GTE if between.low is None or between.low_inclusive else exp.GT
        high = exp.LT if between.high is None or not between.high_inclusive else exp.LTE
        return exp.and_(
            low(this=ordered, expression=_text(f"s:{between.low or ''}")),
            high(this=ordered.copy(), expression=_text("s;" if between.high is None else f"s:{between.high}")),
        )

    def _number_within(self, term: Sql, between: range_bounds.NumberRange | None) -> list[Sql]:
        if between is None:
            return []
        number = self.dialect.number(term)
        ends: list[Sql] = [exp.true()]
        if between.low is not None:
            ends.append((exp.GTE if between.low_inclusive else exp.GT)(this=number, expression=_number(between.low)))
        if between.high is not None:
            ends.append(
                (exp.LTE if between.high_inclusive else exp.LT)(this=number.copy(), expression=_number(between.high))
            )
        # CASE, not AND: only CASE promises that a text is never cast to a number.
        return [exp.Case(ifs=[exp.If(this=self.dialect.is_number(term), true=exp.and_(*ends))], default=exp.false())]

    def _did(self, did: Did) -> Sql:
        measure = self._measure(did)
        query = (
            exp.select(measure)
            .from_(exp.alias_(exp.to_table(self.schema.events), "e", table=True))
            .where(self._counts(did))
        )
        if did.aggregate in ("first", "last"):
            cutoff = self.dialect.instant(self.now - dt.timedelta(days=bounded_days(did.number)))
            compared: Sql = _FLIPPED[did.comparison](this=query.subquery(), expression=cutoff)
            return exp.Coalesce(this=exp.paren(compared), expressions=[exp.false()])
        return _COMPARISONS[did.comparison](this=query.subquery(), expression=_number(did.number))

    def _measure(self, did: Did) -> Sql:
        at = exp.column("at", "e")
        match did.aggregate:
            case "count":
                return exp.Count(this=exp.Star())
            case "days":
                return exp.Count(this=exp.Distinct(expressions=[self.dialect.day(at)]))
            case "sum":
                total = exp.Sum(this=self.dialect.sum_of_numbers(exp.column("terms", "e"), did.of or ""))
                return exp.Coalesce(this=total, expressions=[_number(0)])
            case "first":
                return exp.Min(this=at)
            case "last":
                return exp.Max(this=at)

    def _counts(self, did: Did) -> Sql:
        person = exp.column(*reversed(self.schema.person.split(".")))
        tests: list[Sql] = [
            exp.EQ(this=exp.column("profile_id", "e"), expression=person),
            exp.EQ(this=exp.column("name", "e"), expression=_text(did.event)),
        ]
        if did.within_days is not None:
            since = self.dialect.instant(self.now - dt.timedelta(days=bounded_days(did.within_days)))
            tests.append(exp.GTE(this=exp.column("at", "e"), expression=since))
        if did.where is not None:
            event = replace(self, world="closed", document=exp.column("terms", "e"))
            tests.append(exp.paren(event.write(did.where)))
        return exp.and_(*tests)


_COMPARISONS: dict[str, type[exp.Binary]] = {">=": exp.GTE, "<=": exp.LTE, ">": exp.GT, "<": exp.LT, "=": exp.EQ}
_FLIPPED: dict[str, type[exp.Binary]] = {">=": exp.LTE, "<=": exp.GTE, ">": exp.LT, "<": exp.GT, "=": exp.EQ}


def _text(value: str) -> Sql:
    return exp.Literal.string(value)


def _number(value: float) -> Sql:
    return exp.Literal.number(repr(value)) if value >= 0 else exp.Neg(this=exp.Literal.number(repr(-value)))
