"""The plug-in against a real HTTP server. Run with `pytest examples/plugin/tests` from the root of the repository."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from regulars_chat import chat, line
from tests.receivers import Answer, receiving

from regulars.base.errors import DomainError
from regulars.destinations.kind import Message, SendFailed

MESSAGE = Message("msg_1", dt.datetime(2026, 11, 23, tzinfo=dt.UTC), "auth0|chika", "jackets", "Jackets", True)


def test_the_channel_reads_who_entered_what():
    with receiving(Answer(body=b"ok")) as receiver:
        chat.send(MESSAGE, {"url": receiver.url})
    (got,) = receiver.received
    assert json.loads(got.body) == {"text": "auth0|chika entered Jackets"}


@pytest.mark.parametrize(("status", "permanent"), [(404, True), (429, False), (500, False)])
def test_what_the_chat_answers_says_whether_to_try_again(status, permanent):
    with receiving(Answer(status)) as receiver, pytest.raises(SendFailed) as failed:
        chat.send(MESSAGE, {"url": receiver.url})
    assert failed.value.permanent is permanent


def test_a_segment_cannot_call_everybody_in_the_channel():
    message = Message("msg_1", MESSAGE.at, "auth0|chika", "x", "<!channel> & co", False)
    assert line(message) == "auth0|chika left &lt;!channel&gt; &amp; co"


def test_an_address_that_is_none_is_refused():
    with pytest.raises(DomainError) as refused:
        chat.check({"url": "channel-7"})
    assert refused.value.code == "bad_url"
