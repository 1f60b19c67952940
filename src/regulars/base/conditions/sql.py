"""Translate a condition over every person into a SQL tree for SQLite, PostgreSQL, DuckDB and Spark.

The tree is built with sqlglot, which quotes every value and prints each dialect. NULL is Kleene's unknown, so AND, OR and
NOT need no special case; the closed world differs only where a missing path is met.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from sqlglot import exp

from . import range_bounds
from .dialects import DIALECTS, Dialect
from .document_terms import CONSENT_PATH, DECIMAL_NUMBER, WHOLE_NUMBER, fold_case, literal_terms
from .range_bounds import DATED, DAY, INSTANT, bounded_days
from .tree import And, Between, Condition, Consented, Did, Equals, Everything, Exists, InSegment, Matches, Not, Or

World = Literal["open", "closed"]
Sql = exp.Expr


@dataclass(frozen=True)
class Schema:
    """The columns and tables of the query around the condition.

    `terms` is the column with the person's terms (JSON), `person` the person's id, `events` the table of events with the
    columns profile_id, name, at and terms. Columns are written `alias.column`, or as an SQL expression. `elsewhere`: the
    beginning of a path → where its terms are instead, as (terms, the beginning there): any of several places may have
    it, and of none no one has it.
    """

    terms: str = "p.terms"
    person: str = "p.profile_id"
    events: str = "events_event"
    elsewhere: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)


def where(condition: Condition, schema: Schema, dialect: str, now: dt.datetime, world: World = "open") -> Sql:
    """Return a boolean SQL expression: TRUE, FALSE or (open world only) NULL. Print it with `.sql(dialect=…)`.

    `dialect` is `sqlite`, `postgres`, `duckdb` or `spark`.
    """
    return _Writer(schema, DIALECTS[dialect], now, world, _column(schema.terms)).write(condition)


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
                return self._has(path)
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
        if isinstance(condition, Between) and range_bounds.is_numeric(condition):
            is_unclear = self._any(condition.field, lambda term: self._cannot_be_compared(term, condition))
            known = exp.Case(
                ifs=[exp.If(this=found, true=exp.true()), exp.If(this=is_unclear, true=exp.null())],
                default=exp.false(),
            )
            return exp.Case(ifs=[exp.If(this=self._has(condition.field), true=known)])
        return exp.Case(ifs=[exp.If(this=self._has(condition.field), true=found)])

    def _any(self, path: str, test: Callable[[Sql], Sql]) -> Sql:
        return _either([self.dialect.any_term(document, there, test) for document, there in self._places(path)])

    def _has(self, path: str) -> Sql:
        return _either([self.dialect.has(document, there) for document, there in self._places(path)])

    def _places(self, path: str) -> list[tuple[Sql, str]]:
        ends = [at for at, character in enumerate(path) if character == "."]
        for end in (len(path), *reversed(ends)):
            places = self.schema.elsewhere.get(path[:end])
            if places is not None:
                return [(_column(column), first + path[end:]) for column, first in places]
        return [(self.document, path)]

    def _test(self, condition: Equals | Matches | Between) -> Callable[[Sql], Sql]:
        match condition:
            case Equals(path, value):
                texts = range_bounds.equal_texts(value, self.now)
                wanted = [_text(term) for text in texts for term in literal_terms(path, text)]
                return lambda term: exp.In(this=term, expressions=[each.copy() for each in wanted])
            case Matches(path, pieces):
                return lambda term: self.dialect.like(
                    term,
                    ["s:" + fold_case(path, pieces[0]), *(fold_case(path, p) for p in pieces[1:])],
                )
            case Between():
                return lambda term: self._within(term, condition)

    def _within(self, term: Sql, between: Between) -> Sql:
        """Test one term. CASE, not AND: only CASE promises that a text is never cast to a number."""
        texts, numbers = range_bounds.text_ranges(between, self.now), range_bounds.number_range(between)
        is_numeric = range_bounds.is_numeric(between)
        cases: list[tuple[Sql, Sql]] = []
        if numbers is not None:
            has_fraction = exp.or_(self.dialect.like(term, ["", ".", ""]), self.dialect.like(term, ["", "e", ""]))
            is_double = exp.and_(self.dialect.is_number(term), exp.paren(has_fraction))
            cases.append((is_double, self._double_within(term, numbers)))
            cases.append((self.dialect.is_number(term), self._whole_within(term, numbers)))
        if is_numeric and numbers is not None:
            cases.append((self.dialect.fits(term, f"s:{WHOLE_NUMBER}"), self._whole_within(term, numbers)))
            cases.append((self.dialect.fits(term, f"s:{DECIMAL_NUMBER}"), self._double_within(term, numbers)))
            if range_bounds.covers_years(between):
                cases.append((self.dialect.has_shape(term, DATED), self._texts_within(term, texts)))
            return _case(cases, exp.false())
        if not cases:
            return exp.paren(self._texts_within(term, texts))
        return _case(cases, exp.paren(self._texts_within(term, texts)))

    def _cannot_be_compared(self, term: Sql, between: Between) -> Sql:
        """Return whether a term is text that numeric ends say nothing about."""
        comparable = [self.dialect.fits(term, f"s:{each}") for each in (WHOLE_NUMBER, DECIMAL_NUMBER)]
        if range_bounds.covers_years(between):
            comparable.append(self.dialect.has_shape(term, DATED))
        return exp.and_(self.dialect.is_text(term), exp.not_(exp.paren(exp.or_(*comparable))))

    def _texts_within(self, term: Sql, ranges: range_bounds.TextRanges) -> Sql:
        if ranges.is_one:
            return self._text_within(term, ranges.text)
        shaped = ((DAY, ranges.days), (INSTANT, ranges.instants))
        cases = [(self.dialect.has_shape(term, shape), self._text_within(term, each)) for shape, each in shaped]
        return _case(cases, self._text_within(term, ranges.text))

    def _text_within(self, term: Sql, between: range_bounds.TextRange) -> Sql:
        """`s:` opens the texts and `;` is the character after `:`, so a range needs no substring and can use an index."""
        ordered = self.dialect.by_code_point(term)
        low = exp.GTE if between.low is None or between.low_inclusive else exp.GT
        high = exp.LT if between.high is None or not between.high_inclusive else exp.LTE
        return exp.and_(
            low(this=ordered, expression=_text(f"s:{between.low or ''}")),
            high(this=ordered.copy(), expression=_text("s;" if between.high is None else f"s:{between.high}")),
        )

    def _double_within(self, term: Sql, between: range_bounds.NumberRange) -> Sql:
        number = self.dialect.number(term)
        ends: list[Sql] = [exp.true()]
        if between.low is not None:
            ends.append((exp.GTE if between.low_inclusive else exp.GT)(this=number, expression=_number(between.low)))
        if between.high is not None:
            ends.append(
                (exp.LTE if between.high_inclusive else exp.LT)(this=number.copy(), expression=_number(between.high))
            )
        return exp.and_(*ends)

    def _whole_within(self, term: Sql, between: range_bounds.NumberRange) -> Sql:
        """Compare an integer by its digits, as `range_bounds.NumberRange.holds` does: no engine has a type for all."""
        ends: list[Sql] = [exp.true()]
        if between.first is not None:
            ends.append(self._at_least(term, between.first, is_mirrored=False))
        if between.last is not None:
            ends.append(self._at_least(term, -between.last, is_mirrored=True))
        return exp.and_(*ends)

    def _at_least(self, term: Sql, bound: int, *, is_mirrored: bool) -> Sql:
        digits, written = self.dialect.digits(term), str(abs(bound))
        is_negative = exp.EQ(this=self.dialect.sign(term), expression=_text("-"))
        is_positive: Sql = is_negative if is_mirrored else exp.not_(is_negative)
        is_below_zero: Sql = exp.not_(is_negative) if is_mirrored else is_negative
        if bound == 0:
            return exp.paren(exp.or_(is_positive, exp.EQ(this=digits, expression=_text(""))))
        longer, compared = (exp.GT, exp.GTE) if bound > 0 else (exp.LT, exp.LTE)
        size, limit = exp.Length(this=digits), exp.Literal.number(len(written))
        as_long = exp.EQ(this=size.copy(), expression=limit.copy())
        beyond = compared(this=self.dialect.by_code_point(digits), expression=_text(written))
        reaches = exp.paren(exp.or_(longer(this=size, expression=limit), exp.and_(as_long, beyond)))
        joined = exp.and_(is_positive, reaches) if bound > 0 else exp.or_(exp.not_(is_below_zero), reaches)
        return exp.paren(joined)

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
        person = _column(self.schema.person)
        tests: list[Sql] = [
            exp.EQ(this=exp.column("profile_id", "e"), expression=person),
            exp.EQ(this=exp.column("name", "e"), expression=_text(did.event)),
        ]
        if did.within_days is not None:
            since = self.dialect.instant(self.now - dt.timedelta(days=bounded_days(did.within_days)))
            tests.append(exp.GTE(this=exp.column("at", "e"), expression=since))
        if did.where is not None:
            terms = exp.column("terms", "e")
            event = replace(self, schema=replace(self.schema, elsewhere={}), world="closed", document=terms)
            tests.append(exp.paren(event.write(did.where)))
        return exp.and_(*tests)


_COMPARISONS: dict[str, type[exp.Binary]] = {">=": exp.GTE, "<=": exp.LTE, ">": exp.GT, "<": exp.LT, "=": exp.EQ}
_FLIPPED: dict[str, type[exp.Binary]] = {">=": exp.LTE, "<=": exp.GTE, ">": exp.LT, "<": exp.GT, "=": exp.EQ}


def _column(name: str) -> Sql:
    return exp.maybe_parse(name)


def _either(found: list[Sql]) -> Sql:
    if not found:
        return exp.false()
    return found[0] if len(found) == 1 else exp.paren(exp.or_(*found))


def _case(cases: list[tuple[Sql, Sql]], default: Sql) -> Sql:
    return exp.Case(ifs=[exp.If(this=test, true=result) for test, result in cases], default=default)


def _text(value: str) -> Sql:
    return exp.Literal.string(value)


def _number(value: float) -> Sql:
    return exp.Literal.number(repr(value)) if value >= 0 else exp.Neg(this=exp.Literal.number(repr(-value)))
