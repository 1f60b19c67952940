"""Webhooks are signed as Standard Webhooks says, and every answer of a receiver has a meaning."""

from __future__ import annotations

import datetime as dt
import email.utils
import json

import pytest

from regulars.base.errors import DomainError
from regulars.destinations.kind import SegmentMessage, SendFailed
from regulars.destinations.kinds.webhook import signature, webhook
from tests.receivers import Answer, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = SegmentMessage(
    "msg_1", dt.datetime(2026, 11, 23, 10, tzinfo=dt.UTC), "auth0|chika", "jackets", "Jackets", True, {"city": "Århus"}
)


def settings(url: str) -> dict[str, str]:
    return {"url": url, "secret": SECRET}


def fault_of(answer: Answer) -> SendFailed:
    with receiving(answer) as receiver, pytest.raises(SendFailed) as failed:
        webhook.send(MESSAGE, settings(receiver.url))
    return failed.value


def test_the_signature_is_the_one_of_the_published_vector():
    content = b'{"type":"segment.entered","timestamp":"2026-11-23T10:00:00Z","data":{"segment":"s1","profile":"p1"}}'
    assert signature(SECRET, "msg_1", 1795428000, content) == "v1,7LiiQCixWQ4fBlB21L2/RzoP+1llnXUFTKFxdJIMwtE="


def test_a_receiver_gets_type_person_segment_and_traits_and_can_verify_them():
    with receiving() as receiver:
        webhook.send(MESSAGE, settings(receiver.url + "/hooks"))
    (got,) = receiver.received
    assert got.path == "/hooks"
    assert json.loads(got.body) == {
        "type": "segment.entered",
        "timestamp": "2026-11-23T10:00:00Z",
        "data": {
            "user_id": "auth0|chika",
            "segment": {"slug": "jackets", "name": "Jackets"},
            "traits": {"city": "Århus"},
        },
    }
    moment = int(got.headers["webhook-timestamp"])
    assert got.headers["webhook-id"] == "msg_1"
    assert got.headers["webhook-signature"] == signature(SECRET, "msg_1", moment, got.body)


@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_2xx_is_arrival(status):
    with receiving(Answer(status, b"")) as receiver:
        webhook.send(MESSAGE, settings(receiver.url))
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_what_the_receiver_refuses_is_not_sent_again(status):
    fault = fault_of(Answer(status))
    assert (fault.code, fault.permanent) == (f"http_{status}", True)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_receiver_in_trouble_is_tried_again(status):
    fault = fault_of(Answer(status))
    assert (fault.code, fault.permanent, fault.after) == (f"http_{status}", False, None)


def test_a_redirect_is_not_followed():
    with receiving() as elsewhere:
        fault = fault_of(Answer(302, headers={"location": elsewhere.url}))
    assert fault.permanent
    assert elsewhere.received == []


def test_retry_after_is_honoured_as_seconds():
    assert fault_of(Answer(429, headers={"retry-after": "120"})).after == 120


def test_retry_after_is_honoured_as_a_date():
    soon = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=10), usegmt=True)
    assert fault_of(Answer(503, headers={"retry-after": soon})).after == pytest.approx(600, abs=5)


def test_no_receiver_puts_us_off_for_longer_than_a_day():
    assert fault_of(Answer(503, headers={"retry-after": "99999999"})).after == 24 * 3600


@pytest.mark.parametrize("nonsense", ["soon", "-5", "²", ""])
def test_unusable_retry_after_is_ignored(nonsense):
    fault = fault_of(Answer(503, headers={"retry-after": nonsense.encode().decode("latin-1")}))
    assert fault.after is None


def test_a_receiver_that_is_down_is_tried_again():
    with receiving() as receiver:
        pass
    with pytest.raises(SendFailed) as failed:
        webhook.send(MESSAGE, settings(receiver.url))
    assert (failed.value.code, failed.value.permanent) == ("unreachable", False)


def test_an_address_inside_the_operators_network_is_not_called():
    with pytest.raises(SendFailed) as failed:
        webhook.send(MESSAGE, settings("http://169.254.169.254/latest/meta-data"))
    assert (failed.value.code, failed.value.permanent) == ("address_not_allowed", True)


@pytest.mark.parametrize(
    ("url", "secret", "name"),
    [
        ("ftp://example.com", SECRET, "bad_url"),
        ("http://[", SECRET, "bad_url"),
        ("https://example.com", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "bad_secret"),
        ("https://example.com", "whsec_c2hvcnQ=", "bad_secret"),
        ("https://example.com", "whsec_ä", "bad_secret"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(url, secret, name):
    with pytest.raises(DomainError) as refused:
        webhook.check({"url": url, "secret": secret})
    assert refused.value.code == name
