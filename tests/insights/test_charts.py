"""Each chart queries the lake once, and no customer is dropped from the result."""

from __future__ import annotations

import datetime as dt

import pytest

from regulars.base.conditions import parse
from regulars.base.errors import DomainError
from regulars.base.lake.tables import EventRow, ViewRow, append_events, replace_views
from regulars.insights.charts.protocol import ChartScope
from regulars.insights.run_chart import run_chart

NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)


def _signed_in(number: int, at: dt.datetime, name: str = "Signed In") -> EventRow:
    return EventRow(number, f"m{number}-{at:%d%H}", "track", name, at, {}, {})


def _lives_in(number: int, city: str | None, purpose: str = "measure") -> ViewRow:
    terms = {"gender": ["s:female"], "consent": [f"s:{purpose}"], **({"city": [f"s:{city}"]} if city else {})}
    return ViewRow(number, purpose, terms)


def test_a_day_without_sign_ins_is_a_zero_and_not_a_gap(lake):
    replace_views([_lives_in(1, None), _lives_in(2, None)])
    append_events(
        [
            _signed_in(1, NOON),
            _signed_in(2, NOON),
            _signed_in(1, NOON - dt.timedelta(days=2)),
            _signed_in(1, NOON - dt.timedelta(days=3)),
            _signed_in(1, NOON, "Product Viewed"),
        ],
        batch=1,
    )

    found = run_chart("signins_per_day", ChartScope(NOON, days=3))

    assert found.rows == [("2026-03-08", 1), ("2026-03-09", 0), ("2026-03-10", 2)]
    assert found.total == 3
    [drawn] = found.spec["datasets"].values()
    assert [point["signins"] for point in drawn] == [1, 0, 2]


def test_an_empty_lake_draws_an_empty_month(lake):
    assert run_chart("signins_per_day", ChartScope(NOON)).total == 0


def test_those_whose_city_is_not_known_have_a_bar_of_their_own(lake):
    replace_views([_lives_in(1, "Porto"), _lives_in(2, "Porto"), _lives_in(3, "Braga"), _lives_in(4, None)])

    found = run_chart("people_by_attribute", ChartScope(NOON, attribute="city"))

    assert found.rows == [("Porto", 2), ("Braga", 1), ("Not known", 1)]


def test_only_people_of_the_segment_and_views_of_the_purpose_count(lake):
    replace_views([_lives_in(1, "Porto"), _lives_in(2, "Braga"), _lives_in(1, "Lisboa", "message")])

    found = run_chart("people_by_attribute", ChartScope(NOON, condition=parse("city:Porto"), attribute="city"))

    assert found.rows == [("Porto", 1)]


def test_rare_values_are_added_up_rather_than_left_out(lake):
    replace_views([_lives_in(number, f"Town {number:02}") for number in range(15)])

    rows = run_chart("people_by_attribute", ChartScope(NOON, attribute="city")).rows

    assert len(rows) == 13
    assert rows[-1] == ("All others", 3)


def test_an_attribute_is_a_value_in_the_question_and_never_a_part_of_it(lake):
    replace_views([_lives_in(1, "Porto")])

    assert run_chart("people_by_attribute", ChartScope(NOON, attribute="city\"'); DROP VIEW views; --")).rows == [
        ("Not known", 1)
    ]


def test_an_unknown_chart_is_refused(lake):
    with pytest.raises(DomainError, match="chart"):
        run_chart("horoscope", ChartScope(NOON))
