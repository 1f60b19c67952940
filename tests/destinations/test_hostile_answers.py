"""What a receiver answers is hostile input: every kind ends in success or a named fault, and staff see one short line."""

from __future__ import annotations

import datetime as dt
import json
from uuid import uuid4

import pytest

from regulars.base import clock
from regulars.base.plugins.fields import fill_settings
from regulars.consent.record import Decision, record
from regulars.destinations.deliver import deliver
from regulars.destinations.kind import KINDS, DeletionRequest, SegmentMessage, SendFailed
from regulars.destinations.models import Delivery
from regulars.destinations.save import save_destination
from tests.partners import service_account
from tests.receivers import Answer, receiving

from .conftest import SECRET

AT = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
MATCH = {"email": "ana@example.com"}
MESSAGE = SegmentMessage("msg_1", AT, "auth0|chika", "jackets", "Jackets", True, {"city": "Porto"}, MATCH)
REMOVAL = DeletionRequest("del_1", AT, "auth0|chika", MATCH, ("jackets",), ("city",), False)
SCRIPT = "<script>alert(1)</script>"
VALUES = [
    "x" * 300_000,
    SCRIPT,
    7,
    True,
    None,
    [],
    ["x"],
    [{}],
    {"id": []},
    {"code": ["x"]},
    {"code": "9" * 9000},
    {"id": SCRIPT},
]
BODIES = [
    *(json.dumps(value).encode() for value in VALUES),
    *(
        json.dumps(dict.fromkeys(("error", "data", "results", "errors", "numErrors", "title", "requestId", "access_token"), value)).encode()
        for value in VALUES
    ),
    b"",
    b"<html>" + SCRIPT.encode(),
    b"\xff\xfe\x00",
    b"[" * 50_000,
    b'{"data":' * 300 + b"1" + b"}" * 300,
]  # fmt: skip
ANSWERS = [
    *(Answer(status, body) for status in (200, 400) for body in BODIES),
    *(Answer(status, b"{}") for status in (100 + 104, 207, 304, 401, 403, 404, 409, 429, 500, 599)),
    *(Answer(status, headers={"location": "http://169.254.169.254/"}) for status in (301, 302, 307, 308)),
    *(
        Answer(503, headers={"retry-after": value})
        for value in (
            "9" * 400,
            "-1",
            "soon",
            "Mon, 01 Jan 99999 00:00:00 GMT",
            "Mon, 01 Jan 2024 00:00:00 +99999999",
            "\u00b2",
        )
    ),
]
HTTP_KINDS = [key for key, kind in KINDS.items() if {"url", "base_url"} & {field.key for field in kind.fields}]


def settings_of(key: str, url: str) -> dict[str, str]:
    usual = {
        **dict.fromkeys(("url", "base_url", "token_url", "endpoint"), url),
        "secret": SECRET,
        "api_key": "key-us21",
        "service_account": service_account(),
        **dict.fromkeys(("list_id", "account_id", "audience_id"), "123"),
    }
    fields = KINDS[key].fields
    return fill_settings(fields, {field.key: usual.get(field.key, field.default or "x") for field in fields})


@pytest.fixture(autouse=True)
def _loopback(settings):
    settings.DEMO = True


@pytest.mark.parametrize("key", HTTP_KINDS)
def test_any_answer_ends_in_success_or_a_named_fault(key):
    kind, faults = KINDS[key], []
    with receiving() as there:
        settings = settings_of(key, there.url)
        for answer in ANSWERS:
            there.answers = [answer]
            try:
                kind.send(MESSAGE, settings)
                kind.remove(REMOVAL, settings)
            except SendFailed as fault:
                faults.append(fault)
        assert len(faults) > 10
        assert max(len(fault.code) for fault in faults) <= 64
        assert max(len(fault.message) for fault in faults) < 200
        assert not [fault for fault in faults if SCRIPT in fault.message]
        assert not [fault for fault in faults if fault.after is not None and not 0 <= fault.after <= 86_400]
        assert {call.path.partition("?")[0] for call in there.received}.isdisjoint({"/latest/meta-data"})


def test_words_of_a_plug_in_are_one_short_line_without_secrets(standard_setup, chika, monkeypatch):
    class Loud:
        def send(self, message, settings):
            raise SendFailed(
                "x" * 300, f"{SCRIPT}\x1b[31m\u202e\r\n {settings['secret']} " + "y" * 100_000, permanent=True
            )

    record(chika, Decision("message", "given", "login"))
    destination = save_destination(
        "Shop",
        "webhook",
        {"url": "https://shop.example/", "secret": SECRET},
        purpose="message",
        segment_slugs=["jackets"],
    )
    monkeypatch.setattr(type(KINDS["webhook"]), "send", Loud.send)
    delivery = Delivery.objects.create(
        destination=destination, profile=chika, segment_slug="jackets", segment_name="J", entered=True, at=clock.now(),
        message_id=uuid4(),
    )  # fmt: skip
    deliver(delivery, {"jackets": "message"})
    delivery.refresh_from_db()

    assert delivery.state == "failed"
    assert len(delivery.error) <= 64
    assert len(delivery.last_error) == 300
    assert delivery.last_error.startswith(f"{SCRIPT} [31m •••••••• yyy")
