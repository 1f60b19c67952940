"""Ways in, set up by program as Auth0's SDK does it."""

from __future__ import annotations

import pytest

from regulars.profiles.models import Connection

from .conftest import a_token

ALL = "read:connections create:connections update:connections delete:connections"
SECRET = "never-shown-4711"
FACEBOOK = {
    "name": "facebook",
    "strategy": "facebook",
    "options": {"client_id": "123", "client_secret": SECRET, "scope": "public_profile email", "pieces": ["birthday"]},
}


@pytest.fixture
def call(program):
    return lambda method, path, body=None: program.call(method, f"/v2/connections{path}", body, token=a_token(ALL))


def test_a_connection_is_created_changed_and_deleted_and_its_secret_never_read(call):
    made = call("POST", "", FACEBOOK)
    path = f"/{made.json()['id']}"
    changed = call("PATCH", path, {"display_name": "Facebook", "options": {"client_id": "456", "pieces": ["likes"]}})

    row = Connection.objects.get()
    assert (made.status_code, changed.status_code) == (201, 200)
    assert (row.display_name, row.client_id, row.secret, row.pieces) == ("Facebook", "456", SECRET, ["likes"])
    assert all(SECRET not in each.content.decode() for each in (made, changed, call("GET", path), call("GET", "")))
    assert call("DELETE", path).status_code == call("DELETE", path).status_code == 202
    assert call("GET", path).status_code == 404


def test_what_is_read_can_be_sent_back(call):
    made = call(
        "POST", "", {**FACEBOOK, "options": {**FACEBOOK["options"], "urls": {"site": "https://f.example"}}}
    ).json()
    again = call("PATCH", f"/{made['id']}", {"options": made["options"]})

    assert again.json() == made


def test_a_patch_without_options_leaves_them(call):
    made = call("POST", "", FACEBOOK).json()
    call("PATCH", f"/{made['id']}", {"show_as_button": False})

    row = Connection.objects.get()
    assert (row.enabled, row.client_id, row.pieces) == (False, "123", ["birthday"])


def test_auth0s_words_for_addresses_are_understood(call):
    options = {"client_id": "1", "client_secret": "s", "urls": {"user": "https://m.example/u"}}
    places = {"authorizationURL": "https://m.example/a", "tokenURL": "https://m.example/t"}
    call("POST", "", {"name": "members", "strategy": "oauth2", "options": {**options, **places}})

    assert Connection.objects.get().urls == {
        "authorize": "https://m.example/a",
        "token": "https://m.example/t",
        "user": "https://m.example/u",
    }


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"strategy": "myspace"}, 400, "unknown_strategy"),
        ({"name": "no blanks"}, 400, "bad_name"),
        ({"name": "taken"}, 409, "conflict"),
        ({"options": {}}, 400, "missing"),
        ({"options": {"client_id": "1", "client_secret": "s", "pieces": ["shoe"]}}, 400, "unknown_piece"),
        ({"options": {"client_id": "1", "client_secret": "s", "urls": {"site": "ftp://x"}}}, 400, "bad_site"),
        ({"options": {"client_id": "1", "client_secret": "s", "urls": {"moon": "https://x"}}}, 400, "unknown_address"),
        ({"options": {"nonsense": 1}}, 400, "invalid_body"),
        ({"colour": "red"}, 400, "invalid_body"),
    ],
)
def test_what_is_wrong_has_a_name(call, change, status, code):
    Connection.objects.create(name="taken", strategy="oidc")
    answer = call("POST", "", {**FACEBOOK, **change})

    assert (answer.status_code, answer.json()["errorCode"]) == (status, code)
    assert Connection.objects.count() == 1


def test_reading_scopes_change_nothing(program):
    for method, path in (("POST", ""), ("PATCH", "/con_0000000000000001"), ("DELETE", "/con_0000000000000001")):
        answer = program.call(method, f"/v2/connections{path}", FACEBOOK, token=a_token("read:connections"))

        assert answer.status_code == 403
