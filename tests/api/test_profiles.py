"""Facts with their source, and the timeline of one customer."""

from __future__ import annotations

import pytest

from regulars.base import clock
from regulars.events.record import record


@pytest.mark.parametrize("before", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "yesterday"])
def test_time_outside_the_calendar_is_a_bad_query(api_client, chika, before):
    answer = api_client.call("GET", f"/regulars/v1/profiles/google-oauth2%7C1001/timeline?before={before}")

    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_query_string")


def test_fact_has_its_source_and_time(api_client, chika):
    api_client.call("PATCH", f"/v2/users/{chika.user_id}", {"app_metadata": {"plan": "gold"}})
    [fact] = api_client.get("/regulars/v1/profiles/google-oauth2%7C1001/facts")["facts"]

    assert (fact["attribute"], fact["value"], fact["source"]) == ("app_metadata.plan", "gold", "app:bot")
    assert fact["collected_at"].endswith("Z")
    assert fact["last_confirmed_at"] == fact["collected_at"]
    assert (fact["basis"], fact["consents"], fact["retracted_at"]) == ("contract", [], None)


def test_timeline_is_newest_first_and_pages_by_time(api_client, chika):
    for number, name in enumerate(["First", "Second"]):
        at = clock.now().replace(microsecond=0, year=2025, day=number + 1)
        record(chika.pk, name, {}, at=at, type="track", message_id=name, source=None, context={}, received_at=at)
    path = "/regulars/v1/profiles/google-oauth2%7C1001/timeline"
    newest, oldest = api_client.get(path)["events"]

    assert (newest["name"], oldest["name"]) == ("Second", "First")
    assert api_client.get(path, before=newest["at"])["events"] == [oldest]
