"""Facts with their source, and the timeline of one customer."""

from __future__ import annotations

import pytest

from regulars.base import clock
from regulars.events.record import record


@pytest.mark.parametrize("before", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "yesterday"])
def test_a_moment_beyond_the_calendar_is_a_bad_query(program, chika, before):
    answer = program.call("GET", f"/regulars/v1/profiles/google-oauth2%7C1001/timeline?before={before}")

    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_query_string")


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
