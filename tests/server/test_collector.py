"""Segment's API through the real server: events of its SDKs are stored, and responses suit its SDKs."""

from __future__ import annotations

import gzip
import json
import time
import uuid

import pytest
from segment.analytics.client import Client
from tests.live import ask

pytestmark = pytest.mark.server


@pytest.fixture
def key(live) -> str:
    return live.credentials["collector"]["write_key"]


def kept(live, *message_ids: str) -> int:
    marks = ", ".join("?" for _ in message_ids)
    return live.rows(f"SELECT count(*) FROM events_inboxitem WHERE message_id IN ({marks})", *message_ids)[0][0]


def new_id() -> str:
    return str(uuid.uuid4())


def eventually(check, seconds: float = 60.0):
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


def page(message_id: str, **more: object) -> dict[str, object]:
    return {"type": "page", "anonymousId": f"a-{message_id}", "messageId": message_id, "name": "Home", **more}


@pytest.mark.parametrize("end", ["", "/", "/v1"])
def test_python_sdk_of_segment_delivers_and_the_event_gets_a_profile(live, key, end):
    who = f"chika-{new_id()}"
    sdk = Client(key, host=live.url + end, gzip=True, on_error=lambda error, batch: pytest.fail(str(error)))
    sdk.identify(who, {"email": "chika@example.com", "firstName": "Chika"})
    _, message = sdk.track(who, "Order Completed", {"total": 189, "category": "jackets"})
    sdk.join()
    happened = eventually(
        lambda: live.rows(
            "SELECT e.name, p.user_id FROM events_event e JOIN profiles_profile p ON p.id = e.profile_id"
            " WHERE e.message_id = ?",
            message["messageId"],
        )
    )

    assert happened == [("Order Completed", f"external|{who}")]


def test_acknowledged_event_is_in_the_database(live, key):
    ids = [new_id() for _ in range(100)]
    answer = live.post("/v1/batch", json={"batch": [page(each) for each in ids]}, auth=(key, ""))

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert kept(live, *ids) == 100


def test_a_batch_sent_twice_is_kept_once(live, key):
    ids = [new_id() for _ in range(3)]
    for _ in range(2):
        live.post("/v1/batch", json={"batch": [page(each) for each in ids], "writeKey": key})

    assert kept(live, *ids) == 3


def test_write_key_and_body_are_accepted_in_every_supported_form(live, key):
    ids = [new_id() for _ in range(4)]
    body = json.dumps({**page(ids[0]), "writeKey": key})
    live.post("/v1/p", content=body, headers={"content-type": "text/plain"})
    live.post("/v1/page", json=page(ids[1]), auth=(key, ""))
    packed = gzip.compress(json.dumps({"batch": [page(ids[2])]}).encode())
    live.post("/v1/import/", content=packed, headers={"content-encoding": "gzip"}, auth=(key, ""))
    chunks = iter([b'{"batch":[', json.dumps(page(ids[3])).encode(), b"]}"])
    live.post("/v1/b", content=chunks, auth=(key, ""))

    assert kept(live, *ids) == 4


def test_bad_message_is_recorded_for_the_operator_and_the_rest_is_kept(live, key):
    good = new_id()
    answer = live.post("/v1/batch", json={"batch": [{"type": "nonsense"}, page(good)]}, auth=(key, ""))

    assert answer.status_code == 200
    assert kept(live, good) == 1
    assert ("unknown_type",) in live.rows("SELECT reason FROM events_rejection")


def test_a_wrong_write_key_is_answered_like_a_right_one_and_kept_nowhere(live):
    visitor = new_id()
    answer = live.post("/v1/track", json={**page(visitor), "event": "X", "writeKey": "not-a-key"})

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert kept(live, visitor) == 0
    assert ("unknown_write_key",) in live.rows("SELECT reason FROM events_rejection")


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "error"),
    [
        ("/v1/batch", b"{", {}, 400, "invalid_json"),
        ("/v1/batch", b"[]", {}, 400, "invalid_body"),
        ("/v1/track", b'{"userId":"u"}', {}, 400, "invalid_message"),
        ("/v1/batch", b"x" * 600_000, {}, 413, "too_large"),
        ("/v1/batch", gzip.compress(b"x" * 5_000_000), {"content-encoding": "gzip"}, 413, "too_large"),
        ("/v1/batch", b"no gzip", {"content-encoding": "gzip"}, 400, "invalid_gzip"),
        ("/v1/batch", gzip.compress(b"{}") + b"no gzip", {"content-encoding": "gzip"}, 400, "invalid_gzip"),
        ("/v1/batch", gzip.compress(b"{}")[:-4], {"content-encoding": "gzip"}, 400, "invalid_gzip"),
        ("/v1/batch", gzip.compress(b"") * 5000, {"content-encoding": "gzip"}, 400, "invalid_gzip"),
        ("/v1/track", b'{"userId":"u","event":"Signed In"}', {}, 400, "invalid_message"),
        ("/v1/batch", b"{}", {"content-encoding": "br"}, 415, "unknown_encoding"),
        ("/v1/nowhere", b"{}", {}, 404, "unknown_path"),
    ],
)
def test_bad_requests_are_refused_by_name(live, path, content, headers, status, error):
    answer = live.post(path, content=content, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_message_is_read_in_every_form_that_senders_use(live, key):
    ids = [new_id() for _ in range(3)]
    number = uuid.uuid4().int % 10**15
    live.post("/v1/page", content=b"\xef\xbb\xbf" + json.dumps(page(ids[0])).encode(), auth=(key, ""))
    live.post("/v1/page", json={**page("x"), "messageId": number}, auth=(key, ""))
    half = json.dumps({"batch": [page(ids[1]), page(ids[2])]}).encode()
    members = gzip.compress(half[:50]) + gzip.compress(half[50:]) + b"\0" * 8
    packed = live.post("/v1/batch", content=members, headers={"content-encoding": "gzip"}, auth=(key, ""))

    assert packed.status_code == 200
    assert kept(live, *ids, str(number)) == 4


@pytest.mark.parametrize("depth", [101, 500, 5000])
def test_bottomless_message_is_set_aside_by_name_and_the_others_are_kept(live, key, depth):
    good, bad = new_id(), new_id()
    deep = '{"a":' * depth + "1" + "}" * depth
    body = f'{{"batch":[{json.dumps(page(good))},{{"type":"page","anonymousId":"a","messageId":"{bad}","properties":{deep}}}]}}'
    answer = live.post("/v1/batch", content=body.encode(), auth=(key, ""))
    alone = live.post("/v1/page", content=f'{{"anonymousId":"a","properties":{deep}}}'.encode(), auth=(key, ""))

    assert answer.status_code == 200
    assert (kept(live, good), kept(live, bad)) == (1, 0)
    assert (alone.status_code, alone.json()["error"]) == (400, "invalid_message")
    assert "too_deep" in alone.json()["message"]
    assert ("too_deep",) in live.rows("SELECT reason FROM events_rejection")
    assert live.rows("SELECT sum(count) FROM events_sourcecount WHERE reason = 'too_deep'")[0][0] >= 2


def test_browsers_may_ask_first_and_send_from_anywhere(live):
    asked = {
        "origin": "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, x-retry-count",
    }
    answer = ask("OPTIONS", f"{live.url}/v1/t", headers=asked)

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    for header in ("authorization", "content-type", "x-retry-count"):
        assert header in answer.headers["access-control-allow-headers"]


def test_the_browser_sdk_finds_its_settings(live, key):
    answer = live.get(f"/v1/projects/{key}/settings")

    assert answer.json()["integrations"]["Segment.io"]["apiKey"] == key


def test_the_browser_sdks_own_health_reports_are_swallowed(live):
    assert live.post("/v1/m", json={"series": []}).json() == {"success": True}
