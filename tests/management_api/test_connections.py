"""Connections, set up as Auth0's SDK does it."""

from __future__ import annotations

import pytest
from joserfc.jwk import ECKey

from regulars.connections.models import Connection

from .conftest import make_token

ALL = "read:connections create:connections update:connections delete:connections"
SECRET = "never-shown-4711"
FACEBOOK = {
    "name": "facebook",
    "strategy": "facebook",
    "options": {
        "client_id": "123",
        "client_secret": SECRET,
        "scope": "public_profile email",
        "requested_claims": ["birthday"],
    },
}


@pytest.fixture
def call(api_client):
    return lambda method, path, body=None: api_client.call(
        method, f"/v2/connections{path}", body, token=make_token(ALL)
    )


def test_connection_lifecycle_never_shows_the_secret(call):
    made = call("POST", "", FACEBOOK)
    path = f"/{made.json()['id']}"
    changed = call(
        "PATCH", path, {"display_name": "Facebook", "options": {"client_id": "456", "requested_claims": ["likes"]}}
    )

    row = Connection.objects.get()
    assert (made.status_code, changed.status_code) == (201, 200)
    assert (row.display_name, row.client_id, row.secret, row.requested_claims) == ("Facebook", "456", SECRET, ["likes"])
    assert all(SECRET not in each.content.decode() for each in (made, changed, call("GET", path), call("GET", "")))
    assert call("DELETE", path).status_code == call("DELETE", path).status_code == 202
    assert call("GET", path).status_code == 404


def test_connection_as_read_can_be_sent_back(call):
    made = call(
        "POST", "", {**FACEBOOK, "options": {**FACEBOOK["options"], "urls": {"site": "https://f.example"}}}
    ).json()
    again = call("PATCH", f"/{made['id']}", {"options": made["options"]})

    assert again.json() == made


def test_patch_without_options_keeps_them(call):
    made = call("POST", "", FACEBOOK).json()
    call("PATCH", f"/{made['id']}", {"show_as_button": False})

    row = Connection.objects.get()
    assert (row.enabled, row.client_id, row.requested_claims) == (False, "123", ["birthday"])


def test_auth0_names_of_addresses_are_accepted(call):
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
        ({"options": {"client_id": "1", "client_secret": "s", "requested_claims": ["shoe"]}}, 400, "unknown_claim"),
        ({"options": {"client_id": "1", "client_secret": "s", "urls": {"site": "ftp://x"}}}, 400, "bad_site"),
        ({"options": {"client_id": "1", "client_secret": "s", "urls": {"moon": "https://x"}}}, 400, "unknown_address"),
        ({"options": {"nonsense": 1}}, 400, "invalid_body"),
        ({"colour": "red"}, 400, "invalid_body"),
    ],
)
def test_wrong_connection_is_refused_by_name(call, change, status, code):
    Connection.objects.create(name="taken", strategy="oidc")
    answer = call("POST", "", {**FACEBOOK, **change})

    assert (answer.status_code, answer.json()["errorCode"]) == (status, code)
    assert Connection.objects.count() == 1


def test_unknown_properties_are_refused_in_auth0s_sentence(call):
    answer = call("POST", "", {**FACEBOOK, "options": {"nonsense": 1, "client_id": "1"}}).json()

    assert (
        answer["message"]
        == "Payload validation error: 'Additional properties not allowed: nonsense' on property options."
    )


def test_properties_without_effect_are_accepted(call):
    left = {
        "email": True,
        "public_profile": True,
        "set_user_root_attributes": "on_each_login",
        "non_persistent_attrs": [],
        "upstream_params": {},
        "icon_url": "https://shop.example/f.svg",
    }
    more = {"metadata": {"team": "blue"}, "authentication": {"active": True}, "connected_accounts": {"active": False}}
    answer = call("POST", "", {**FACEBOOK, **more, "options": {**FACEBOOK["options"], **left}})

    assert answer.status_code == 201
    assert not left.keys() & answer.json()["options"].keys()


def test_usual_password_settings_of_auth0_change_nothing(call, passwords):
    usual = {
        "passwordPolicy": "low",
        "password_complexity_options": {"min_length": 8},
        "password_history": {"size": 5, "enable": False},
        "password_dictionary": {"enable": False, "dictionary": []},
        "password_no_personal_info": {"enable": False},
        "mfa": {"active": True, "return_enroll_settings": True},
        "brute_force_protection": True,
        "disable_signup": False,
        "requires_username": False,
        "attributes": {"email": {"signup": {"status": "required"}}},
        "authentication_methods": {"password": {"enabled": True}, "passkey": {"enabled": False}},
    }

    assert call("PATCH", f"/con_{passwords.pk:016d}", {"options": usual}).status_code == 200


@pytest.mark.parametrize(
    "properties",
    [
        {"disable_signup": True},
        {"disable_self_service_change_password": True},
        {"requires_username": True},
        {"attributes": {"username": {"identifier": {"active": True}}}},
        {"authentication_methods": {"password": {"enabled": False}}},
        {"passwordPolicy": "good"},
        {"password_complexity_options": {"min_length": 12}},
        {"password_history": {"enable": True, "size": 5}},
        {"password_no_personal_info": {"enable": True}},
        {"password_dictionary": {"enable": True}},
        {"password_options": {"complexity": {"character_types": ["number"]}}},
        {"totp": {"time_step": 180}},
        {"customScripts": {"login": "function login() {}"}},
        {"scripts": {"fetchUserProfile": "function () {}"}},
        {"enabledDatabaseCustomization": True},
        {"non_persistent_attrs": ["birthday"]},
        {"tenant_domain": "shop.example"},
        {"upstream_params": {"acr_values": {"value": "mfa"}}},
        {"authParams": {"hd": "shop.example"}},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"enable_pushed_authorization_requests": True},
        {"dpop_signing_alg": "ES256"},
        {"id_token_session_expiry_supported": True},
    ],
)
def test_value_that_would_weaken_security_is_refused(call, properties):
    answer = call("POST", "", {**FACEBOOK, "options": {**FACEBOOK["options"], **properties}})

    assert (answer.status_code, answer.json()["errorCode"]) == (400, "operation_not_supported")
    assert f"'{next(iter(properties))}'" in answer.json()["message"]
    assert not Connection.objects.exists()


def test_inactive_connection_of_auth0_is_refused_by_name(call):
    answer = call("POST", "", {**FACEBOOK, "authentication": {"active": False}})

    assert (answer.json()["errorCode"], Connection.objects.exists()) == ("operation_not_supported", False)


def test_auth0_names_for_apple_key_and_offline_access_are_accepted(call):
    key = ECKey.generate_key("P-256").as_pem(private=True).decode()
    apple = {"client_id": "example.shop", "app_secret": key, "team_id": "TEAM123456", "kid": "KEY1234567"}
    call("POST", "", {"name": "apple", "strategy": "apple", "options": apple})
    google = {"client_id": "1", "client_secret": SECRET, "offline_access": True}
    call("POST", "", {"name": "google-oauth2", "strategy": "google-oauth2", "options": google})

    row = Connection.objects.get(name="apple")
    assert (row.secret, row.settings) == (key, {"team_id": "TEAM123456", "key_id": "KEY1234567"})
    assert Connection.objects.get(name="google-oauth2").offline is True


def test_scope_to_read_connections_changes_nothing(api_client):
    for method, path in (("POST", ""), ("PATCH", "/con_0000000000000001"), ("DELETE", "/con_0000000000000001")):
        answer = api_client.call(method, f"/v2/connections{path}", FACEBOOK, token=make_token("read:connections"))

        assert answer.status_code == 403
