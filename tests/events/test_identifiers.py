"""Ids of customers, browsers and groups: as text, and never a placeholder that would join visitors."""

from __future__ import annotations

import pytest

from regulars.events.identifiers import MAX_ID, IdProblem, is_missing, read_identifier

PLACEHOLDERS = [
    *("[object Object]", "None", "NaN", "nil", "(null)", "true", "false", "guest", "unknown", "null", "undefined"),
    *("NULL", "Undefined", "NONE", "Guest", " guest ", "GUEST\t", "[OBJECT OBJECT]", "[object Undefined]", "anonymous"),
    *('"null"', "'undefined'", '"guest"', "`nil`", "<null>", "<nil>", "[null]", "{null}", "“none”", '\\"null\\"'),
    *("0", "00", "-1", "0.0", "-1.0", "-", "--", "0-0", "00000000-0000-0000-0000-000000000000", "0" * 32),
    *(
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "{00000000-0000-0000-0000-000000000000}",
    ),
    *("null-null", "undefined_undefined", "null|undefined", "null null", "n/a", "N/A", "#N/A", "not set", "(not set)"),
    *(
        "{{user.id}}",
        "${userId}",
        "%s",
        "%(id)s",
        "%user_id%",
        "<%= user.id %>",
        "{userId}",
        "{}",
        "[]",
        '""',
        "()",
        "''",
    ),
    *("function () { return 1 }", "<User object at 0x7f00>", "<function id at 0x7f00>", "#<Object>", "[Function: id]"),
    *("userId", "user_id", "anonymousId", "distinct_id", "id", "ｇｕｅｓｔ", "gue\u200bst", "Infinity", "-inf"),
    *("9774d56d682e549c", "02:00:00:00:00:00", True, False, 0, 0.0, -1, -0.0, 1e300, 2.0**53),
]
PERSONS = [
    ("42", "42"),
    (42, "42"),
    (123.0, "123"),
    ("123.0", "123"),
    ("123.00", "123"),
    (" 42 ", "42"),
    ("\ufeff42", "42"),
    (12345678901234567890123, "12345678901234567890123"),
    (3.5, "3.5"),
    ("007", "007"),
    ("1.2.3", "1.2.3"),
    ("nullable", "nullable"),
    ("guest-4711", "guest-4711"),
    ("unknown@example.com", "unknown@example.com"),
    ("trueman", "trueman"),
    ("none-such", "none-such"),
    ("{0f8fad5b-d9cb-469f-a165-70867728950e}", "{0f8fad5b-d9cb-469f-a165-70867728950e}"),
    ("a0000000-0000-0000-0000-000000000000", "a0000000-0000-0000-0000-000000000000"),
    ("1", "1"),
    ("-7", "-7"),
    ("%C3%A9", "%C3%A9"),
]


@pytest.mark.parametrize("value", PLACEHOLDERS, ids=repr)
def test_placeholder_is_no_id(value):
    assert read_identifier(value).problem is IdProblem.PLACEHOLDER


@pytest.mark.parametrize(("value", "text"), PERSONS, ids=repr)
def test_id_of_a_person_is_kept_as_text(value, text):
    assert read_identifier(value).text == text


@pytest.mark.parametrize("value", [None, "", "  ", {}, [], ["42"], {"id": 1}, "\ufeff"], ids=repr)
def test_what_is_no_id_is_missing(value):
    assert read_identifier(value).problem is IdProblem.MISSING


@pytest.mark.parametrize(
    "value",
    [
        *PLACEHOLDERS,
        *(value for value, _ in PERSONS),
        None,
        "",
        "  ",
        "\ufeff",
        " \u200b ",
        {},
        [],
        ["42"],
        float("-0.5"),
    ],
    ids=repr,
)
def test_collector_and_worker_agree_on_which_ids_are_missing(value):
    assert is_missing(value) is (read_identifier(value).problem is IdProblem.MISSING)


def test_long_ids_are_not_cut_because_two_of_them_would_be_one():
    assert read_identifier("x" * MAX_ID).text == "x" * MAX_ID
    assert read_identifier("x" * (MAX_ID + 1)).problem is IdProblem.TOO_LONG
