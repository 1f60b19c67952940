"""Conditions have the same three-valued result in Python and in every available SQL engine."""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3

import duckdb
import psycopg
import pytest
import sqlglot
from django.db.backends.sqlite3._functions import register
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.base.conditions.strategies import NOW, conditions, individuals

from regulars.base.conditions import (
    EventSeen,
    Person,
    Schema,
    event_terms,
    holds,
    matches,
    parse,
    terms_of,
    to_text,
    where,
)

TABLES = (
    "CREATE TABLE people (profile_id BIGINT, terms {json})",
    'CREATE TABLE events_event (profile_id BIGINT, name {text}, "at" {time}, terms {json})',
)


class SQLite:
    name, types = "sqlite", {"json": "TEXT", "text": "TEXT", "time": "TEXT"}

    def __init__(self):
        self.connection = sqlite3.connect(":memory:")
        register(self.connection)  # as Django does on each of its connections
        self.run = lambda sql, *rows: self.connection.execute(sql, *rows)

    def time(self, at):
        return at.strftime("%Y-%m-%d %H:%M:%S.%f").removesuffix(".000000")


class DuckDB:
    name, types = "duckdb", {"json": "JSON", "text": "VARCHAR", "time": "TIMESTAMP"}

    def __init__(self):
        self.connection = duckdb.connect()
        self.run = self.connection.execute

    def time(self, at):
        return at.replace(tzinfo=None)


class PostgreSQL:
    name, types = "postgres", {"json": "JSONB", "text": "TEXT", "time": "TIMESTAMPTZ"}

    def __init__(self):
        self.connection = psycopg.connect(os.environ["DATABASE_URL"])
        self.connection.execute("SET search_path TO pg_temp")  # temporary tables end with the connection

    def run(self, sql, *rows):
        return self.connection.execute(sql.replace("?", "%s") if rows else sql, *rows)

    def time(self, at):
        return at


# Each engine runs once: PostgreSQL when the suite runs on it, the others when it runs on SQLite.
ENGINES = [PostgreSQL] if os.environ.get("DATABASE_URL", "").startswith("postgres") else [SQLite, DuckDB]


@pytest.fixture(scope="module", params=ENGINES, ids=lambda engine: engine.name)
def engine(request):
    engine = request.param()
    for table in TABLES:
        engine.run(table.format(**engine.types))
    yield engine
    engine.connection.close()


def fill(engine, people):
    engine.run("DELETE FROM people")
    engine.run("DELETE FROM events_event")
    for number, person in enumerate(people):
        engine.run("INSERT INTO people VALUES (?, ?)", (number, json.dumps(terms_of(person.document))))
        for name, at, properties in person.events:
            row = (number, name, engine.time(at), json.dumps(event_terms(properties)))
            engine.run("INSERT INTO events_event VALUES (?, ?, ?, ?)", row)


def in_python(condition, person, world):
    def events(name):
        return [EventSeen(at, event_terms(properties)) for kind, at, properties in person.events if kind == name]

    reading = holds if world == "open" else matches
    return reading(condition, Person(terms_of(person.document), events), NOW)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    people=st.lists(individuals(), min_size=1, max_size=4),
    condition=conditions(),
    world=st.sampled_from(["open", "closed"]),
)
def test_python_and_sql_agree(engine, people, condition, world):
    fill(engine, people)
    tree = where(condition, Schema(), engine.name, NOW, world)

    rows = engine.run(f"SELECT ({tree.sql(dialect=engine.name)}) FROM people p ORDER BY profile_id").fetchall()

    in_sql = [None if value is None else bool(value) for (value,) in rows]
    assert in_sql == [in_python(condition, person, world) for person in people]


@settings(max_examples=300, deadline=None)
@given(conditions())
def test_written_condition_reads_back(condition):
    """Ignore redundant parentheses: `a AND (b AND c)` is read as three parts of one AND."""
    tree = parse(to_text(condition))

    assert parse(to_text(tree)) == tree


@settings(max_examples=100, deadline=None)
@given(individuals(), conditions())
def test_reading_back_keeps_the_meaning(person, condition):
    again = parse(to_text(condition))

    assert in_python(again, person, "open") == in_python(condition, person, "open")


@settings(max_examples=50, deadline=None)
@given(conditions())
def test_spark_sql_is_well_formed(condition):
    sql = where(condition, Schema(), "spark", NOW).sql(dialect="spark")

    assert sqlglot.parse_one(f"SELECT {sql} FROM p", dialect="spark")


def test_value_cannot_escape_its_quotes(engine):
    fill(engine, [])
    for nasty in ("'); DROP TABLE people; --", "\\'", "a' OR '1'='1", "%s", "$1", "?"):
        tree = where(parse(f"city:{json.dumps(nasty)}"), Schema(), engine.name, NOW)
        assert engine.run(f"SELECT {tree.sql(dialect=engine.name)} FROM people p").fetchall() == []
    assert engine.run("SELECT count(*) FROM people").fetchone() == (0,)


def test_unknown_is_neither_in_nor_out():
    woman_in_porto = parse("gender:female AND city:Porto")

    assert holds(woman_in_porto, Person(terms_of({"city": "Porto"})), NOW) is None
    assert holds(woman_in_porto, Person(terms_of({"city": "Braga"})), NOW) is False
    assert matches(woman_in_porto, Person(terms_of({"city": "Porto"})), NOW) is False


def test_not_done_is_zero_and_not_unknown():
    assert holds(parse('NOT did("Order Completed")'), Person({}), NOW) is True
    assert holds(parse('did(last of "Order Completed"):<=30'), Person({}), NOW) is False


def test_an_event_of_the_first_day_of_the_window_counts():
    at = NOW - dt.timedelta(days=90)
    person = Person({}, lambda name: [EventSeen(at, {})])

    assert holds(parse('did("Product Viewed" in 90d)'), person, NOW) is True
