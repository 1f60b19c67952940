"""Integers by their digits, text as a number only if it is wholly one, and a date as its whole day: alike on every engine."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from tests.base.conditions.strategies import Individual
from tests.base.conditions.test_agreement import engine, fill

from regulars.base import clock
from regulars.base.conditions import Person, Schema, holds, matches, parse, terms_of, where

__all__ = ["engine"]  # a fixture
NOW = dt.datetime(2026, 11, 24, 22, 30, tzinfo=dt.UTC)
BIG = 2**63 + 1  # no double and no 64-bit integer has it


def truths(engine, condition, documents, world):
    """Return the truth for each document, the same in Python and in SQL."""
    fill(engine, [Individual(each, []) for each in documents])
    tree = where(parse(condition), Schema(), engine.name, NOW, world)
    rows = engine.run(f"SELECT ({tree.sql(dialect=engine.name)}) FROM people p ORDER BY profile_id").fetchall()
    in_sql = [None if value is None else bool(value) for (value,) in rows]
    evaluate = holds if world == "open" else matches
    assert in_sql == [evaluate(parse(condition), Person(terms_of(each)), NOW) for each in documents]
    return in_sql


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**63, BIG, -BIG, 10**30 + 1, 10**400 + 1, 0, 7])
def test_integer_is_found_by_its_digits_and_no_neighbour_with_it(engine, number):
    documents = [{"x": number - 1}, {"x": number}, {"x": number + 1}]

    assert truths(engine, f"x:{number}" if number >= 0 else f'x:"{number}"', documents, "closed") == [
        False,
        True,
        False,
    ]
    assert truths(engine, f"x:[{number} TO {number}]", documents, "closed") == [False, True, False]
    assert truths(engine, f"x:{{{number} TO *]", documents, "closed") == [False, False, True]
    assert truths(engine, f"x:[* TO {number}}}", documents, "closed") == [True, False, False]


@pytest.mark.parametrize("spelling", ["7.0", "7", "7e0", "70e-1", "007"])
def test_one_number_has_one_spelling(engine, spelling):
    assert truths(
        engine, f"x:[{spelling} TO {spelling}]", [{"x": 7}, {"x": 7.0}, {"x": 7.5}, {"x": True}], "closed"
    ) == [
        True,
        True,
        False,
        False,
    ]
    assert truths(engine, f"x:{spelling}", [{"x": 7}, {"x": 7.0}, {"x": 8}], "closed") == [True, True, False]


@pytest.mark.parametrize(
    ("text", "at_least_50", "at_most_50"),
    [
        ("9", False, True),
        ("90", True, False),
        ("-90", False, True),
        ("050", True, True),
        ("50.0", True, True),
        ("49.99", False, True),
        ("1e3", True, False),
        ("-0", False, True),
        (str(BIG), True, False),
        ("1" * 500, True, False),
        ("100 EUR", None, None),
        ("EUR 100", None, None),
        ("9\n", None, None),
        (" 9", None, None),
        ("9,5", None, None),
        ("1e999", None, None),
        ("٣", None, None),
        ("Infinity", None, None),
        ("2026-11-24", None, None),
    ],
)
def test_text_is_a_number_only_if_it_is_wholly_one(engine, text, at_least_50, at_most_50):
    for condition, expected in (("x:[50 TO *]", at_least_50), ("x:[* TO 50]", at_most_50)):
        assert truths(engine, condition, [{"x": text}], "open") == [expected]
        assert truths(engine, condition, [{"x": text}], "closed") == [expected is True]
        assert truths(engine, f"NOT {condition}", [{"x": text}], "open") == [None if expected is None else not expected]


def test_one_of_several_values_decides_and_the_rest_is_unknown(engine):
    documents = [{"x": ["100 EUR", 60]}, {"x": ["100 EUR", 40]}, {"x": [40, "45"]}, {"x": [True, 40]}]

    assert truths(engine, "x:[50 TO *]", documents, "open") == [True, None, False, False]


def test_dates_compare_with_years_and_with_no_other_number(engine):
    documents = [
        {"x": "1990-04-12"},
        {"x": "1990-04-12T00:00:00.000Z"},
        {"x": 1990},
        {"x": "1990"},
        {"x": "2001-01-01"},
    ]

    assert truths(engine, "x:[1989 TO 1991]", documents, "open") == [True, True, True, True, False]
    assert truths(engine, "x:[198 TO 20000]", documents, "open") == [None, None, True, True, None]


@pytest.fixture(params=["UTC", "Europe/Lisbon", "Asia/Tokyo", "America/New_York"])
def zone(request, monkeypatch):
    monkeypatch.setattr(clock, "zone", lambda: ZoneInfo(request.param))
    return ZoneInfo(request.param)


def test_date_compares_as_its_whole_day_of_the_business(engine, zone):
    today = NOW.astimezone(zone).date()
    documents = [{"due": (today + dt.timedelta(days=each)).isoformat()} for each in (-1, 0, 1, 6, 7, 8)]

    assert truths(engine, "due:[now TO now+7d]", documents, "closed") == [False, True, True, True, True, False]
    assert truths(engine, "due:{now TO now+7d}", documents, "closed") == [False, False, True, True, False, False]
    assert truths(engine, "due:now", documents, "closed") == [False, True, False, False, False, False]
    assert truths(engine, "due:[* TO now}", documents, "open") == [True, False, False, False, False, False]
    instant = NOW.isoformat().replace("+00:00", "Z").replace(":", r"\:")
    assert truths(engine, f"due:[{instant} TO *]", documents, "closed") == [False, True, True, True, True, True]


def test_instants_are_on_the_day_that_the_business_has(engine, zone):
    day = dt.date(2026, 11, 24)
    start = dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)
    moments = [start - dt.timedelta(seconds=1), start, start + dt.timedelta(hours=23), start + dt.timedelta(days=1)]
    documents = [{"x": moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")} for moment in moments]

    assert truths(engine, f"x:[{day} TO {day}]", documents, "closed") == [False, True, True, False]
    assert truths(engine, f"x:{{* TO {day}}}", documents, "closed") == [True, False, False, False]
    assert truths(engine, f"x:{{{day} TO *]", documents, "closed") == [False, False, False, True]


def test_instants_compare_with_now_to_the_second(engine):
    documents = [{"x": "2026-11-24T22:29:59.000Z"}, {"x": "2026-11-24T22:30:01.000Z"}]

    assert truths(engine, "x:[now TO *]", documents, "closed") == [False, True]


def test_numbers_beyond_a_double_add_nothing_to_a_sum(engine):
    happened = [("Order Completed", NOW, {"price": price}) for price in (10**400, 2, 3)]
    fill(engine, [Individual({}, happened)])
    tree = where(parse('did(sum price of "Order Completed"):>=5'), Schema(), engine.name, NOW)

    assert [
        bool(row[0]) for row in engine.run(f"SELECT ({tree.sql(dialect=engine.name)}) FROM people p").fetchall()
    ] == [True]
