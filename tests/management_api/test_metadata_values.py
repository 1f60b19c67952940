"""Metadata is read as it was written: empty values, false, 0 and nested nulls too; and true is not 1."""

from __future__ import annotations

import json

import pytest

from regulars.base.json_values import is_empty, same_json
from regulars.consent.view import served_user, view
from regulars.profiles.assertions import Place
from regulars.profiles.learn import is_known
from regulars.profiles.models import Attribute
from regulars.usecases.export import access

KEPT = [
    [],
    "",
    {},
    0,
    0.0,
    False,
    {"a": []},
    {"a": ""},
    {"a": {}},
    {"a": {"b": {}}},
    {"a": None},
    {"a": {"b": None, "c": 1}},
    {"a": [], "b": 1},
    [None],
    [[]],
    [{}],
    ["", 0, False, None],
    " ",
]
BAGS = ("user_metadata", "app_metadata")


def written(api_client, chika, bag, value):
    answer = api_client.call("PATCH", f"/v2/users/{chika.user_id}", {bag: {"x": value}})
    assert answer.status_code == 200, answer.content
    got = api_client.get(f"/v2/users/{chika.user_id}")
    assert answer.json()[bag] == got[bag]
    return got[bag]


def same(one, other):
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.parametrize("bag", BAGS)
@pytest.mark.parametrize("value", KEPT, ids=json.dumps)
def test_value_is_read_as_it_was_written(api_client, chika, bag, value):
    assert same(written(api_client, chika, bag, value), {"x": value})
    chika.refresh_from_db()
    assert same(served_user(chika, Place.RULES).get(bag), {"x": value})  # tokens and rules
    exported = json.dumps(access(chika), default=str)
    assert f'"{bag}.x' in exported


@pytest.mark.parametrize("value", [[], "", {}])
def test_empty_value_replaces_what_was_there_and_is_neither_known_nor_found(api_client, chika, value):
    written(api_client, chika, "app_metadata", "gold")
    assert same(written(api_client, chika, "app_metadata", value), {"x": value})

    assert not is_known(chika, "app_metadata.x")
    assert api_client.get("/v2/users", q="_exists_:app_metadata.x", search_engine="v3") == []
    assert api_client.get("/v2/users", q="app_metadata.x:gold", search_engine="v3") == []
    assert api_client.get("/v2/users", q="NOT _exists_:app_metadata.x", search_engine="v3") != []


@pytest.mark.parametrize("value", [[], "", {}])
def test_empty_value_of_a_declared_attribute_is_kept_and_not_known_for_its_purposes(api_client, chika, value):
    Attribute.objects.create(
        key="shoe", label="Shoe", type="list", purposes=["serve", "measure"], metadata_path="user_metadata.x"
    )
    body = {"user_metadata": {"x": value if isinstance(value, list) else []}}
    assert api_client.call("PATCH", f"/v2/users/{chika.user_id}", body).status_code == 200

    assert api_client.get(f"/v2/users/{chika.user_id}")["user_metadata"] == {"x": []}
    chika.refresh_from_db()
    assert "shoe" not in view(chika, "measure")
    assert not is_known(chika, "shoe")


def test_null_removes_a_first_level_key_and_an_empty_bag_removes_all(api_client, chika):
    written(api_client, chika, "user_metadata", "")
    answer = api_client.call("PATCH", f"/v2/users/{chika.user_id}", {"user_metadata": {"x": None}})

    assert answer.json().get("user_metadata", {}) == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [(1, True), (True, 1), (0, False), (False, 0), ([1], [True]), ({"a": 1}, {"a": True}), ([[0]], [[False]])],
)
@pytest.mark.parametrize("bag", BAGS)
def test_true_over_a_stored_1_changes_it(api_client, chika, bag, before, after):
    written(api_client, chika, bag, before)

    assert same(written(api_client, chika, bag, after), {"x": after})
    if not isinstance(after, list | dict):
        query = f"{bag}.x:{json.dumps(after)}"
        assert len(api_client.get("/v2/users", q=query, search_engine="v3")) == 1
        assert api_client.get("/v2/users", q=f"{bag}.x:{json.dumps(before)}", search_engine="v3") == []


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (None, False, False),
        ("1", 1, False),
        ("", None, False),
        ([], {}, False),
        (2**53 + 1, float(2**53), False),
        ([1, {"a": [True]}], [1.0, {"a": [True]}], True),
        ([1, {"a": [True]}], [1, {"a": [1]}], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
    ],
)
def test_json_values_are_compared_with_their_types(one, other, is_same):
    assert same_json(one, other) is same_json(other, one) is is_same


def test_zero_and_false_are_not_empty():
    assert [value for value in (None, "", [], {}, 0, 0.0, False, " ", [None]) if is_empty(value)] == [None, "", [], {}]
