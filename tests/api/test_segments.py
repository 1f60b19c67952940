"""Segments: saved, counted, and their members."""

from __future__ import annotations

import pytest

from regulars.consent.record import Decision
from regulars.profiles.models import Attribute
from regulars.usecases.decide_consent import decide
from regulars.usecases.lake import fill_lake
from tests.management_api.conftest import make_token

GOLD = {"name": "Gold", "text": "plan:gold", "purpose": "message"}


@pytest.fixture
def chika(chika):
    """Allows messages, for which the plan may be used."""
    Attribute.objects.create(key="plan", label="Plan", purposes=["message"], metadata_path="app_metadata.plan")
    decide(chika, Decision("message", "given", "login"))
    return chika


def test_saved_segment_has_its_members_at_once(api_client, chika):
    api_client.call("PATCH", f"/v2/users/{chika.user_id}", {"app_metadata": {"plan": "gold"}})
    saved = api_client.call("POST", "/regulars/v1/segments", GOLD)

    assert saved.json() == api_client.get("/regulars/v1/segments/gold") | {"moved": 1}
    assert api_client.get("/regulars/v1/segments/gold/members", limit=1)["members"][0]["user_id"] == chika.user_id
    assert api_client.get("/regulars/v1/segments")[0]["members"] == {"in": 1}


def test_condition_is_counted_without_being_saved(api_client, chika, lake):
    api_client.call("PATCH", f"/v2/users/{chika.user_id}", {"app_metadata": {"plan": "gold"}})
    fill_lake({})
    counted = api_client.call(
        "POST", "/regulars/v1/segments/count", {"text": GOLD["text"], "purpose": "message"}
    ).json()

    assert (counted["in"], counted["unknown"], counted["out"]) == (1, 0, 0)
    assert counted["sample"] == [chika.user_id]


def test_empty_lake_counts_zero(api_client, lake):
    counted = api_client.call("POST", "/regulars/v1/segments/count", {"text": "*", "purpose": "message"}).json()

    assert counted | {"drops": []} == {"exact": True, "in": 0, "unknown": 0, "out": 0, "drops": [], "sample": []}


def test_invalid_segment_is_refused_with_its_reason(api_client):
    for change, code in ({"purpose": "spying"}, "unknown_purpose"), ({"name": "?", "slug": ""}, "no_name"):
        answer = api_client.call("POST", "/regulars/v1/segments", GOLD | change)

        assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    assert api_client.call("POST", "/regulars/v1/segments", GOLD | {"text": "plan:("}).status_code == 400


def test_save_under_an_old_version_is_refused_and_undoes_nothing(api_client):
    path = "/regulars/v1/segments"

    def post(body, name, value):
        headers = {"Authorization": f"Bearer {make_token()}", name: value}
        return api_client.client.post(f"/api{path}", body, content_type="application/json", headers=headers)

    first = post(GOLD, "If-None-Match", "*")
    loaded = api_client.call("GET", f"{path}/gold").headers["ETag"]
    again = post(GOLD, "If-None-Match", "*")
    changed = post(GOLD | {"description": "by one"}, "If-Match", loaded)
    outdated = post(GOLD | {"description": "by another"}, "If-Match", loaded)
    gone = post(GOLD | {"slug": "silver"}, "If-Match", "*")

    assert first.headers["ETag"] == loaded
    assert [each.status_code for each in (first, again, changed, outdated, gone)] == [200, 412, 200, 412, 412]
    assert {each.json()["errorCode"] for each in (again, outdated, gone)} == {"precondition_failed"}
    assert changed.headers["ETag"] not in (loaded, "")
    assert [each["description"] for each in api_client.get(path)] == ["by one"]
