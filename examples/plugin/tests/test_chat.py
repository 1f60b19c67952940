"""The plug-in against a real HTTP server. Run with `pytest examples/plugin/tests` from the root of the repository."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from regulars_chat import chat, line
from tests.receivers import Answer, receiving

from regulars.plugins import DomainError, SegmentMessage, SendFailed

MESSAGE = SegmentMessage("msg_1", dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "auth0|chika", "jackets", "Jackets", True)


def test_channel_shows_customer_and_segment():
    with receiving(Answer(body=b"ok")) as receiver:
        chat.send(MESSAGE, {"url": receiver.url})
    (got,) = receiver.received
    assert json.loads(got.body) == {"text": "auth0|chika entered Jackets"}


@pytest.mark.parametrize(("status", "permanent"), [(404, True), (429, False), (500, False)])
def test_status_of_the_chat_decides_whether_to_retry(status, permanent):
    with receiving(Answer(status)) as receiver, pytest.raises(SendFailed) as failed:
        chat.send(MESSAGE, {"url": receiver.url})
    assert failed.value.permanent is permanent


def test_segment_name_cannot_mention_the_channel():
    message = SegmentMessage("msg_1", MESSAGE.at, "auth0|chika", "x", "<!channel> & co", False)
    assert line(message) == "auth0|chika left &lt;!channel&gt; &amp; co"


def test_bad_address_is_refused():
    with pytest.raises(DomainError) as refused:
        chat.check({"url": "channel-7"})
    assert refused.value.code == "bad_url"
