"""What the collector makes of a body, message by message."""

from __future__ import annotations

import json
import sys
import time

import pytest

from regulars.events.segment_format import MAX_MESSAGE, MAX_MESSAGES, BadBody, parse

PAGE = {"type": "page", "anonymousId": "a-1", "messageId": "m-1", "name": "Home"}


def batch(*messages: object, **common: object) -> bytes:
    return json.dumps({"batch": messages, **common}).encode()


def reasons(body: bytes) -> list[str]:
    return [each.reason for each in parse("batch", body).rejected]


@pytest.mark.parametrize(
    ("word", "type_"), [("track", "track"), ("t", "track"), ("i", "identify"), ("p", "page"), ("a", "alias")]
)
def test_the_address_says_what_a_single_message_is(word, type_):
    body = {"event": "Order Completed", "userId": "u", "previousId": "p"}

    assert parse(word, json.dumps(body).encode()).messages[0].type == type_


@pytest.mark.parametrize("word", ["batch", "import", "b"])
def test_a_batch_keeps_every_message_as_it_came(word):
    parsed = parse(word, batch(PAGE, {**PAGE, "messageId": "m-2"}, writeKey="wk", sentAt="2026-11-24T10:00:00Z"))

    assert [each.message_id for each in parsed.messages] == ["m-1", "m-2"]
    assert json.loads(parsed.messages[0].body) == PAGE
    assert (parsed.key, parsed.sent_at) == ("wk", "2026-11-24T10:00:00Z")


def test_one_bad_message_is_rejected_and_the_rest_is_taken():
    parsed = parse("batch", batch({"type": "nonsense", "userId": "u"}, PAGE, 7, {"type": "page"}))

    assert [each.message_id for each in parsed.messages] == ["m-1"]
    assert [each.reason for each in parsed.rejected] == ["unknown_type", "not_a_message", "no_id"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"type": "track", "userId": "u"}, "event_without_name"),
        ({"type": "track", "event": "X", "userId": None, "anonymousId": ""}, "no_id"),
        ({"type": "alias", "userId": "u"}, "no_id"),
        ({"type": "t", "event": "X", "userId": "u"}, "unknown_type"),
        ({**PAGE, "messageId": "m" * 256}, "message_id_too_long"),
        ({**PAGE, "messageId": "regulars-signed-up-7"}, "message_id_is_ours"),
        ({**PAGE, "properties": {"text": "x" * MAX_MESSAGE}}, "message_too_large"),
        ({**PAGE, "userId": {"not": "an id"}}, "not_a_message"),
    ],
)
def test_every_reason_has_a_name(message, reason):
    assert reasons(batch(message)) == [reason]


def test_messages_beyond_the_limit_are_rejected_not_the_batch():
    many = [{**PAGE, "messageId": f"m-{n}"} for n in range(MAX_MESSAGES + 1)]
    parsed = parse("batch", batch(*many))

    assert len(parsed.messages) == MAX_MESSAGES
    assert [each.reason for each in parsed.rejected] == ["too_many_in_batch"]


def test_what_a_batch_says_for_all_of_them_gives_way_to_a_messages_own_words():
    body = batch({**PAGE, "context": {"locale": "pt"}}, PAGE, context={"locale": "en", "ip": "192.0.2.1"})
    contexts = [json.loads(each.body)["context"] for each in parse("batch", body).messages]

    assert contexts == [{"locale": "pt", "ip": "192.0.2.1"}, {"locale": "en", "ip": "192.0.2.1"}]


def test_a_message_without_an_id_gets_one():
    one, other = parse("batch", batch({**PAGE, "messageId": None}, {**PAGE, "messageId": ""})).messages

    assert one.message_id != other.message_id
    assert one.message_id.startswith("regulars-")


def test_ids_that_no_database_stores_are_made_storable():
    body = b'{"batch":[{"type":"page","anonymousId":"a","messageId":"m\\u0000\\ud800"}]}'

    assert parse("batch", body).messages[0].message_id == "m\ufffd\ufffd"


@pytest.mark.parametrize(
    ("word", "body", "name"),
    [
        ("batch", b"", "invalid_json"),
        ("batch", b"{", "invalid_json"),
        ("batch", b"\xff\xfe", "invalid_json"),
        ("batch", b"[]", "invalid_body"),
        ("batch", b'{"batch":{}}', "invalid_body"),
        ("batch", b"[" * 100_000, "invalid_body"),
        ("track", b'{"event":"X"}', "invalid_message"),
        ("track", b'{"event":7,"userId":"u"}', "invalid_body"),
    ],
)
def test_a_body_that_is_no_message_is_refused_by_name(word, body, name):
    with pytest.raises(BadBody) as refused:
        parse(word, body)

    assert refused.value.code == name


def test_message_costs_few_calls():
    """Every message of every sender passes here: what can wait is done by the worker."""
    track = {"type": "track", "event": "Product Viewed", "anonymousId": "a-1", "context": {"page": {"path": "/"}}}
    body, calls = batch(*({**track, "messageId": f"m-{n}"} for n in range(100))), 0

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    parse("batch", body)
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        parse("batch", body)
    finally:
        sys.setprofile(before)

    assert calls / 100 < 40  # 26 when this was written; 175 with every id and name normalised


@pytest.mark.parametrize("properties", [{"n": [int("9" * 3900)] * 8}, {"n": ["7" * 3900] * 8}, {"n": "[" * 31_000}])
def test_body_made_to_be_slow_is_read_in_time_proportional_to_its_length(properties):
    body = batch(*[{**PAGE, "properties": properties}] * 14)
    began = time.process_time()

    assert len(parse("batch", body).messages) == 14
    assert time.process_time() - began < 0.5  # 0.03 when this was written; over a second with a search from each digit
