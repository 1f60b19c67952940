"""The differences of the SQL engines: JSON access, any element of a list, patterns, order of text, instants."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp, parse_one

Sql = exp.Expr
Test = Callable[[Sql], Sql]
TERM = "term"


@dataclass(frozen=True)
class Dialect:
    """One engine. The templates are SQL of that engine; `_doc`, `_path`, `_test`, `_term`, `_at` stand for parts."""

    name: str
    has_path: str
    any_of: str
    term: str  # the name of the term inside `any_of`
    numbers: str  # the sum of the numeric terms under a path of one document, without those that no double holds
    path_syntax: Callable[[str], str]
    ordered: str = "_term"
    day_of: str = "CAST(_at AS DATE)"
    instant_of: str = "CAST(_at AS TIMESTAMP)"
    instant_format: Callable[[dt.datetime], str] = lambda at: at.strftime("%Y-%m-%d %H:%M:%S.%f")
    double: str = "DOUBLE"
    glob: bool = False
    fits_pattern: str = "REGEXP_MATCHES(_term, _pattern)"
    end: str = "$"  # of a pattern

    def has(self, document: Sql, path: str) -> Sql:
        """Return whether the document has any value under the path."""
        return self._fill(self.has_path, _doc=document, _path=self._path(path))

    def any_term(self, document: Sql, path: str, test: Test) -> Sql:
        """Return whether any term under the path passes the test; false, never NULL, when there is none."""
        term = parse_one(self.term, dialect=self.name)
        return self._fill(self.any_of, _doc=document, _path=self._path(path), _test=exp.paren(test(term)))

    def sum_of_numbers(self, document: Sql, path: str) -> Sql:
        return self._fill(self.numbers, _doc=document, _path=self._path(path))

    def like(self, term: Sql, pieces: list[str]) -> Sql:
        """Match case-sensitively on every engine. SQLite's LIKE ignores case, so SQLite uses GLOB."""
        if self.glob:
            glob = "*".join(re.sub(r"[*?\[]", r"[\g<0>]", piece) for piece in pieces)
            return exp.Glob(this=term, expression=exp.Literal.string(glob))
        like = "%".join(re.sub(r"[%_^]", r"^\g<0>", piece) for piece in pieces)
        pattern = exp.Like(this=term, expression=exp.Literal.string(like))
        return exp.Escape(this=pattern, expression=exp.Literal.string("^"))

    def has_shape(self, term: Sql, shape: str) -> Sql:
        """Return whether a text has a shape of `range_bounds`: `?` is any one character, `*` any others."""
        if self.glob:
            return exp.Glob(this=term.copy(), expression=exp.Literal.string(f"s:{shape}"))
        like = shape.replace("?", "_").replace("*", "%")
        return exp.Like(this=term.copy(), expression=exp.Literal.string(f"s:{like}"))

    def fits(self, term: Sql, pattern: str) -> Sql:
        """Return whether a whole term fits a regular expression."""
        return self._fill(self.fits_pattern, _term=term, _pattern=exp.Literal.string(f"^{pattern}{self.end}"))

    def by_code_point(self, term: Sql) -> Sql:
        return self._fill(self.ordered, _term=term)

    def is_number(self, term: Sql) -> Sql:
        return exp.EQ(this=_substring(term, 1, 2), expression=exp.Literal.string("n:"))

    def is_text(self, term: Sql) -> Sql:
        return exp.EQ(this=_substring(term, 1, 2), expression=exp.Literal.string("s:"))

    def sign(self, term: Sql) -> Sql:
        """Return `-` of a negative integer, else its first digit."""
        return _substring(term, 3, 1)

    def digits(self, term: Sql) -> Sql:
        """Return the digits of an integer without its sign and without leading zeros; empty for 0."""
        unsigned = exp.func("REPLACE", _substring(term, 3), exp.Literal.string("-"), exp.Literal.string(""))
        return exp.Trim(this=unsigned, expression=exp.Literal.string("0"), position="LEADING")

    def number(self, term: Sql) -> Sql:
        return exp.cast(_substring(term, 3), self.double)

    def day(self, at: Sql) -> Sql:
        """Return the UTC day of an instant."""
        return self._fill(self.day_of, _at=at)

    def instant(self, at: dt.datetime) -> Sql:
        return self._fill(self.instant_of, _at=exp.Literal.string(self.instant_format(at.astimezone(dt.UTC))))

    def _path(self, path: str) -> Sql:
        return exp.Literal.string(self.path_syntax(path))

    def _fill(self, template: str, **parts: Sql) -> Sql:
        def put(node: Sql) -> Sql:
            if isinstance(node, exp.Column) and not node.table and node.name in parts:
                return parts[node.name].copy()
            return node

        tree: Sql = parse_one(template, dialect=self.name).transform(put)
        return tree


def _json_path(path: str) -> str:
    return f"$.{json.dumps(path, ensure_ascii=False)}"


def _substring(term: Sql, start: int, length: int | None = None) -> Sql:
    size = {"length": exp.Literal.number(length)} if length else {}
    return exp.Substring(this=term.copy(), start=exp.Literal.number(start), **size)


DIALECT_OF = {"sqlite": "sqlite", "postgresql": "postgres"}  # Django's name of an engine → the dialect
DIALECTS = {
    "sqlite": Dialect(
        name="sqlite",
        has_path="JSON_TYPE(_doc, _path) IS NOT NULL",
        any_of="EXISTS(SELECT 1 FROM JSON_EACH(_doc, _path) AS t WHERE _test)",
        term="t.value",
        numbers=(
            "(SELECT SUM(CAST(SUBSTRING(t.value, 3) AS REAL)) FROM JSON_EACH(_doc, _path) AS t"
            " WHERE SUBSTRING(t.value, 1, 2) = 'n:' AND LENGTH(t.value) < 300)"
        ),
        path_syntax=_json_path,
        day_of="SUBSTRING(_at, 1, 10)",
        instant_of="_at",
        # As Django writes an instant into SQLite: without a fraction when there is none.
        instant_format=lambda at: at.strftime("%Y-%m-%d %H:%M:%S.%f").removesuffix(".000000"),
        double="REAL",
        glob=True,
        fits_pattern="_term REGEXP _pattern",  # the function that Django adds: Python's `re.search`
        end=r"\Z",
    ),
    "postgres": Dialect(
        name="postgres",
        has_path="JSONB_EXTRACT_PATH(_doc, _path) IS NOT NULL",
        any_of=(
            "EXISTS(SELECT 1 FROM JSONB_ARRAY_ELEMENTS_TEXT(JSONB_EXTRACT_PATH(_doc, _path)) AS t(value) WHERE _test)"
        ),
        term="t.value",
        numbers=(
            "(SELECT SUM(CASE WHEN SUBSTRING(t.value, 1, 2) = 'n:' AND LENGTH(t.value) < 300 THEN CAST(SUBSTRING(t.value, 3) AS DOUBLE PRECISION) END)"
            " FROM JSONB_ARRAY_ELEMENTS_TEXT(JSONB_EXTRACT_PATH(_doc, _path)) AS t(value))"
        ),
        path_syntax=str,
        ordered='_term COLLATE "C"',
        day_of="CAST(_at AT TIME ZONE 'UTC' AS DATE)",
        instant_of="CAST(_at AS TIMESTAMPTZ)",
        fits_pattern="_term ~ _pattern",
        instant_format=lambda at: at.strftime("%Y-%m-%d %H:%M:%S.%f+00"),
    ),
    "duckdb": Dialect(
        name="duckdb",
        has_path="JSON_EXTRACT(_doc, _path) IS NOT NULL",
        any_of=f"COALESCE(LENGTH(LIST_FILTER(CAST(JSON_EXTRACT(_doc, _path) AS TEXT[]), LAMBDA {TERM} : _test)) > 0, FALSE)",
        term=TERM,
        numbers=(
            "LIST_SUM(LIST_TRANSFORM(LIST_FILTER(CAST(JSON_EXTRACT(_doc, _path) AS TEXT[]),"
            f" LAMBDA {TERM} : SUBSTRING({TERM}, 1, 2) = 'n:' AND LENGTH({TERM}) < 300), LAMBDA {TERM} : CAST(SUBSTRING({TERM}, 3) AS DOUBLE)))"
        ),
        path_syntax=_json_path,
    ),
    "spark": Dialect(
        name="spark",
        has_path="GET_JSON_OBJECT(_doc, _path) IS NOT NULL",
        any_of=f"COALESCE(EXISTS(FROM_JSON(GET_JSON_OBJECT(_doc, _path), 'ARRAY<STRING>'), {TERM} -> _test), FALSE)",
        term=TERM,
        numbers=(
            "AGGREGATE(TRANSFORM(FILTER(FROM_JSON(GET_JSON_OBJECT(_doc, _path), 'ARRAY<STRING>'),"
            f" {TERM} -> SUBSTRING({TERM}, 1, 2) = 'n:' AND LENGTH({TERM}) < 300), {TERM} -> CAST(SUBSTRING({TERM}, 3) AS DOUBLE)),"
            " CAST(0 AS DOUBLE), (total, number) -> total + number)"
        ),
        path_syntax=lambda path: f"$['{path}']",
        fits_pattern="_term RLIKE _pattern",
    ),
}
