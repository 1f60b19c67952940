"""Segments, facts with their source, and what happened."""

from __future__ import annotations

import pytest

from regulars.base import clock
from regulars.events.record import record
from regulars.usecases.lake import fill_lake

GOLD = {"name": "Gold", "text": "app_metadata.plan:gold", "purpose": "serve"}


def test_a_saved_segment_has_its_members_at_once(program, chika):
    program.call("PATCH", f"/v2/users/{chika.user_id}", {"app_metadata": {"plan": "gold"}})
    saved = program.call("POST", "/regulars/v1/segments", GOLD)

    assert saved.json() == program.get("/regulars/v1/segments/gold") | {"moved": 1}
    assert program.get("/regulars/v1/segments/gold/members", limit=1)["members"][0]["user_id"] == chika.user_id
    assert program.get("/regulars/v1/segments")[0]["members"] == {"in": 1}


def test_a_condition_is_counted_without_being_saved(program, chika, lake):
    program.call("PATCH", f"/v2/users/{chika.user_id}", {"app_metadata": {"plan": "gold"}})
    fill_lake({})
    counted = program.call("POST", "/regulars/v1/segments/count", {"text": GOLD["text"], "purpose": "serve"}).json()

    assert (counted["in"], counted["unknown"], counted["out"]) == (1, 0, 0)
    assert counted["sample"] == [chika.user_id]


def test_nobody_is_counted_as_zero(program, lake):
    counted = program.call("POST", "/regulars/v1/segments/count", {"text": "*", "purpose": "serve"}).json()

    assert counted | {"drops": []} == {"in": 0, "unknown": 0, "out": 0, "drops": [], "sample": []}


@pytest.mark.parametrize("before", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "yesterday"])
def test_a_moment_beyond_the_calendar_is_a_bad_query(program, chika, before):
    answer = program.call("GET", f"/regulars/v1/profiles/google-oauth2%7C1001/timeline?before={before}")

    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_query_string")


def test_a_segment_that_cannot_be_understood_is_refused_with_its_reason(program):
    for change, code in ({"purpose": "spying"}, "unknown_purpose"), ({"name": "?", "slug": ""}, "no_name"):
        answer = program.call("POST", "/regulars/v1/segments", GOLD | change)

        assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    assert program.call("POST", "/regulars/v1/segments", GOLD | {"text": "plan:("}).status_code == 400


def test_a_fact_tells_who_said_it_and_when(program, chika):
    program.call("PATCH", f"/v2/users/{chika.user_id}", {"app_metadata": {"plan": "gold"}})
    [fact] = program.get("/regulars/v1/profiles/google-oauth2%7C1001/facts")["facts"]

    assert (fact["attribute"], fact["value"], fact["source"]) == ("app_metadata.plan", "gold", "app:bot")
    assert fact["collected_at"].endswith("Z")
    assert (fact["basis"], fact["consents"], fact["retracted_at"]) == ("contract", [], None)


def test_the_timeline_is_newest_first_and_goes_on_before_a_moment(program, chika):
    for number, name in enumerate(["First", "Second"]):
        at = clock.now().replace(microsecond=0, year=2025, day=number + 1)
        record(chika.pk, name, {}, at=at, type="track", message_id=name, source=None, context={}, received_at=at)
    path = "/regulars/v1/profiles/google-oauth2%7C1001/timeline"
    newest, oldest = program.get(path)["events"]

    assert (newest["name"], oldest["name"]) == ("Second", "First")
    assert program.get(path, before=newest["at"])["events"] == [oldest]
