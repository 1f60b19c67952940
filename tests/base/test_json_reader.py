"""One reader for all JSON that others send: what it accepts can be stored, written and read again."""

from __future__ import annotations

import json

import hypothesis
import pytest
from hypothesis import strategies as st

from regulars.base.json_reader import MAX_DEPTH, MAX_DIGITS, UnreadableJson, cut_at_depth, read_json, write_json


def nested(levels: int, open_: str = "[", close: str = "]") -> bytes:
    return (open_ * levels + close * levels).encode()


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'"a\\u0000b"', "a\ufffdb"),
        (b'"\\ud83d"', "\ufffd"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'{"\\udc00": 1}', {"\ufffd": 1}),
        (b"[NaN, Infinity, -Infinity, 1e400, -1e400]", [None] * 5),
        (b"9007199254740993", 9007199254740993),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"9" * 5000, None),
        (b"9" * 4000, 10**4000 - 1),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (json.dumps({"é": 1}).encode("utf-16"), {"é": 1}),
        (b'"caf\xe9"', "caf\ufffd"),
        (nested(MAX_DEPTH), json.loads(nested(MAX_DEPTH))),
        ("[1]", [1]),
        ('"\ud800"', "?"),
    ],
)
def test_value_is_read_so_that_every_store_takes_it(raw, value):
    assert read_json(raw, repair=True) == value
    assert read_json(write_json(read_json(raw, repair=True))) == value


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[1,]", "invalid_json"),
        (b"01", "invalid_json"),
        (b'"\x01"', "invalid_json"),
        (b"{}{}", "invalid_json"),
        (nested(MAX_DEPTH + 1), "too_deep"),
        (nested(500), "too_deep"),
        (nested(500, '{"a":', "}").replace(b":}", b":1}", 1), "too_deep"),
        (nested(100_000), "too_deep"),
        (b'{"a": "\\ud800", "b": ' + nested(500) + b"}", "too_deep"),
        (b'{"a": "\\ud800", "b": ' + nested(50_000) + b"}", "too_deep"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(raw, code):
    with pytest.raises(UnreadableJson) as refused:
        read_json(raw, repair=True)

    assert refused.value.code == code


@pytest.mark.parametrize(
    "raw",
    [
        *(b'"a\\u0000b"', b'"\\ud83d"', b'{"\\udc00": 1}', b"[NaN]", b"Infinity", b"1e400", b"9" * 4001, b"9" * 5000),
        *(b'"caf\xe9"', '"\ud800"', "\ud800"),
    ],
)
def test_request_is_refused_where_a_value_would_have_to_be_changed(raw):
    with pytest.raises(UnreadableJson) as refused:
        read_json(raw)

    assert refused.value.code == "invalid_json"


@pytest.mark.parametrize(
    "raw", [b'{"a": "\\\\u0000"}', b'\xef\xbb\xbf{"a": 1}', '\ufeff{"a": 1}', b'"\\ud83d\\ude00"', b'["\\u00e9"]']
)
def test_request_that_needs_no_change_is_read(raw):
    assert read_json(raw) == read_json(raw, repair=True)


@pytest.mark.parametrize("inside", ['"', "\\", "[", "]", "}", '"]', '\\"]', "]\\", '\\\\"}}', "\n"])
def test_brackets_in_texts_are_no_levels(inside):
    def levels(number: int) -> bytes:
        value: object = inside
        for _ in range(number):
            value = [inside, value, {inside: inside}]
        return json.dumps(value).encode()

    assert read_json(levels(MAX_DEPTH - 1)) == json.loads(levels(MAX_DEPTH - 1))
    with pytest.raises(UnreadableJson):
        read_json(levels(MAX_DEPTH))


def test_part_that_a_repeated_key_replaces_is_no_level():
    assert read_json(b'{"a": ' + nested(MAX_DEPTH + 1) + b', "a": 1}') == {"a": 1}


@pytest.mark.parametrize("before", [0, 1, 57, 99, 100, 101])
def test_long_number_is_found_wherever_it_stands(before):
    raw = b"[" + b" " * before + b"9" * (MAX_DIGITS + 1) + b', "' + b"1" * 5000 + b'"]'

    assert read_json(raw, repair=True) == [None, "1" * 5000]


def test_bottomless_part_is_cut_out_and_the_rest_stays():
    raw = b'{"a": [' + nested(60_000) + b', "]]"], "b": "\\"[{"}'

    assert json.loads(cut_at_depth(raw, 3)) == {"a": [[0], "]]"], "b": '"[{'}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=[])), inner),
)


@hypothesis.given(values)
def test_whatever_python_writes_is_read_and_reads_the_same_again(value):
    read = read_json(json.dumps(value), repair=True)

    assert read_json(write_json(read)) == read
    assert json.loads(write_json(read)) == read
