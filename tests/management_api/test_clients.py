"""Clients, APIs and grants, as Auth0's SDKs and its Terraform provider use them."""

from __future__ import annotations

import pytest
from joserfc.jwk import ECKey

from regulars.accounts.proofs.tickets import may_embed
from regulars.base.crypto import matches_secret, random_secret
from regulars.clients.branding import branding_of, save_branding
from regulars.clients.models import Client, ClientGrant, ResourceServer
from regulars.oauth.models import AppGrant

from .conftest import make_token

APPS = Client.objects.exclude(pk="bot")  # without the app that calls

SCOPE = " ".join(
    f"{verb}:{noun}"
    for verb in ("read", "create", "update", "delete")
    for noun in ("clients", "client_keys", "client_grants", "resource_servers", "grants")
)
SHOP = {"name": "Harbour & Pine", "callbacks": ["https://shop.example/callback"]}
KEY = ECKey.generate_key("P-256", {"kid": "one"}).as_dict(private=False)
ORDERS = {
    "identifier": "https://orders.example/",
    "name": "Orders",
    "scopes": [{"value": "read:orders", "description": "See your orders"}, {"value": "write:orders"}],
}


@pytest.fixture
def call(api_client):
    def call(method, path, body=None, **query):
        return api_client.call(method, "/v2" + path, body, token=make_token(SCOPE), **query)

    return call


@pytest.fixture
def shop(call):
    return call("POST", "/clients", SHOP).json()


@pytest.fixture
def orders(call):
    return call("POST", "/resource-servers", ORDERS).json()


def error_of(answer):
    return answer.status_code, answer.json()["errorCode"]


def test_client_secret_is_shown_once(call):
    made = call("POST", "/clients", SHOP)
    kept = call("GET", f"/clients/{made.json()['client_id']}").json()

    assert made.status_code == 201
    assert matches_secret(made.json()["client_secret"], APPS.get().secret_hash)
    assert "client_secret" not in kept
    assert (kept["name"], kept["callbacks"]) == (SHOP["name"], SHOP["callbacks"])


@pytest.mark.parametrize(
    ("kind", "method", "grants"),
    [
        ("spa", "none", ["authorization_code", "refresh_token"]),
        ("native", "none", ["authorization_code", "refresh_token"]),
        ("non_interactive", "client_secret_post", ["client_credentials"]),
    ],
)
def test_app_type_decides_the_defaults(call, kind, method, grants):
    made = call("POST", "/clients", {"name": "New", "app_type": kind}).json()

    assert (made["token_endpoint_auth_method"], made["grant_types"]) == (method, grants)
    assert ("client_secret" in made) == (method != "none")


def test_patch_keeps_absent_properties_and_null_removes_metadata(call, shop):
    path = f"/clients/{shop['client_id']}"
    call("PATCH", path, {"client_metadata": {"plan": "gold", "team": "blue"}})
    changed = call(
        "PATCH",
        path,
        {
            "grant_types": ["authorization_code", "implicit"],
            "client_metadata": {"team": None},
            "refresh_token": {"leeway": 5, "token_lifetime": 3600},
            "oidc_logout": {"backchannel_logout_urls": ["https://shop.example/bye"]},
            "require_pushed_authorization_requests": True,
        },
    ).json()

    assert (changed["name"], changed["callbacks"]) == (SHOP["name"], SHOP["callbacks"])
    assert changed["client_metadata"] == {"plan": "gold"}
    assert (changed["refresh_token"]["leeway"], changed["refresh_token"]["token_lifetime"]) == (5, 3600)
    assert changed["oidc_logout"] == {"backchannel_logout_urls": ["https://shop.example/bye"]}
    assert changed["require_pushed_authorization_requests"] is True
    assert "client_secret" not in changed


def test_dialect_of_answers_is_read_and_written(call, shop):
    path = f"/clients/{shop['client_id']}"
    changed = call("PATCH", path, {"answers": "openid"}).json()
    kept = call("PATCH", path, {"name": "Shop 2"}).json()
    made = call("POST", "/clients", {"name": "New", "answers": "auth0"}).json()
    wrong = call("PATCH", path, {"answers": "klingon"})

    assert (shop["answers"], changed["answers"], kept["answers"], made["answers"]) == (
        "auto",
        "openid",
        "openid",
        "auth0",
    )
    assert (wrong.status_code, call("GET", path).json()["answers"]) == (400, "openid")


def test_rotated_secret_replaces_the_old_one(call, shop):
    rotated = call("POST", f"/clients/{shop['client_id']}/rotate-secret").json()

    assert matches_secret(rotated["client_secret"], APPS.get().secret_hash)
    assert rotated["client_secret"] != shop["client_secret"]


def test_client_with_private_key_jwt_has_no_secret(call, shop):
    key = ECKey.generate_key("P-256", {"kid": "one"})
    path = f"/clients/{shop['client_id']}"
    without = call("PATCH", path, {"token_endpoint_auth_method": "private_key_jwt"})
    changed = call(
        "PATCH", path, {"token_endpoint_auth_method": "private_key_jwt", "jwks": [key.as_dict(private=True)]}
    )

    assert error_of(without) == (400, "key_needed")
    assert changed.json()["jwks"] == [key.as_dict(private=False)]
    assert APPS.get().secret_hash == ""
    assert error_of(call("POST", path + "/rotate-secret")) == (400, "public_client")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_body"),
        ({"name": "x", "surprise": 1}, "invalid_body"),
        ({"name": "x", "client_secret": "s" * 48}, "invalid_body"),
        ({"name": "x", "grant_types": ["telepathy"]}, "unknown_grant_type"),
        ({"name": "x", "callbacks": ["javascript:alert(1)"]}, "bad_address"),
        ({"name": "x", "jwks": [{"kty": "oct", "k": "c2VjcmV0"}]}, "bad_key"),
        ({"name": "x", "jwks_uri": "ftp://shop.example/keys"}, "bad_address"),
        ({"name": "x", "jwks_uri": "https://shop.example/k", "jwks": [KEY]}, "keys_twice"),
        ({"name": "x", "token_endpoint_auth_signing_alg": "none"}, "unknown_algorithm"),
        ({"name": "x", "userinfo_signed_response_alg": "none"}, "unknown_algorithm"),
        ({"name": "x", "initiate_login_uri": "http://shop.example/start"}, "bad_address"),
        ({"name": "x", "token_endpoint_auth_method": "private_key_jwt"}, "key_needed"),
        ({"name": "x", "oidc_logout": {"backchannel_logout_urls": ["ftp://x/"]}}, "bad_address"),
        ({"name": "x", "refresh_token": {"rotation_type": "non-rotating"}}, "invalid_body"),
        ({"name": "x", "token_endpoint_auth_method": "tls_client_auth"}, "unknown_auth_method"),
    ],
)
def test_invalid_client_is_refused_by_name(call, body, code):
    assert error_of(call("POST", "/clients", body)) == (400, code)
    assert not APPS.exists()


def test_keys_may_be_behind_an_address_and_what_was_read_can_be_sent_back(call, shop):
    path = f"/clients/{shop['client_id']}"
    by_address = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://shop.example/keys"}
    changed = call("PATCH", path, {**by_address, "token_endpoint_auth_signing_alg": "ES256"}).json()
    again = {name: changed[name] for name in ("jwks", "jwks_uri", "token_endpoint_auth_signing_alg")}

    assert again == {"jwks": [], "jwks_uri": "https://shop.example/keys", "token_endpoint_auth_signing_alg": "ES256"}
    assert call("PATCH", path, again).json() == changed
    assert call("PATCH", path, {"jwks": [KEY]}).json()["jwks_uri"] == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [("initiate_login_uri", "https://shop.example/start"), ("userinfo_signed_response_alg", "RS256")],
)
def test_a_setting_is_read_written_and_taken_away(call, shop, field, value):
    path = f"/clients/{shop['client_id']}"
    made = call("POST", "/clients", {**SHOP, field: value}).json()

    assert (shop[field], made[field]) == ("", value)
    assert call("PATCH", path, {field: value}).json()[field] == value
    assert call("PATCH", path, {"name": "Shop"}).json()[field] == value
    assert call("PATCH", path, {field: ""}).json()[field] == ""


def test_an_app_may_require_a_second_factor(call, shop):
    path = f"/clients/{shop['client_id']}"

    assert shop["require_second_factor"] is False
    assert call("PATCH", path, {"require_second_factor": True}).json()["require_second_factor"] is True
    assert call("PATCH", path, {"name": "Shop"}).json()["require_second_factor"] is True


def test_default_max_age_is_a_number_and_null_removes_it(call, shop):
    path = f"/clients/{shop['client_id']}"

    assert shop["default_max_age"] is None
    assert call("PATCH", path, {"default_max_age": 0}).json()["default_max_age"] == 0
    assert call("PATCH", path, {"name": "Shop"}).json()["default_max_age"] == 0
    assert call("PATCH", path, {"default_max_age": None}).json()["default_max_age"] is None
    assert call("PATCH", path, {"default_max_age": -1}).status_code == 400
    assert error_of(call("PATCH", path, {"default_max_age": 2**31})) == (400, "bad_max_age")


def test_unknown_properties_are_refused_in_auth0s_sentence(call, shop):
    path = f"/clients/{shop['client_id']}"
    top = call("PATCH", path, {"name": "x", "calbacks": [], "colour": "red"}).json()
    inside = call("PATCH", path, {"refresh_token": {"leaway": 5}}).json()

    assert top["message"] == "Payload validation error: 'Additional properties not allowed: calbacks, colour'."
    assert "'Additional properties not allowed: leaway' on property refresh_token." in inside["message"]
    assert (top["errorCode"], APPS.get().name) == ("invalid_body", SHOP["name"])


def test_properties_without_effect_are_accepted(call):
    body = {
        "description": "The shop",
        "logo_uri": "https://shop.example/logo.png",
        "oidc_conformant": True,
        "sso_disabled": False,
        "jwt_configuration": {"alg": "RS256", "lifetime_in_seconds": 36000, "secret_encoded": False},
        "organization_usage": "deny",
        "client_authentication_methods": None,
        "signed_request_object": {"required": False, "credentials": []},
        "native_social_login": {"apple": {"enabled": False}},
        "refresh_token": {"leeway": 5, "infinite_token_lifetime": False, "policies": []},
    }
    made = call("POST", "/clients", {**SHOP, **body})
    changed = call("PATCH", f"/clients/{made.json()['client_id']}", {**body, "app_type": "spa"})

    assert (made.status_code, changed.status_code) == (201, 200)
    assert changed.json()["refresh_token"]["leeway"] == 5
    assert changed.json()["token_endpoint_auth_method"] == "client_secret_post"


@pytest.mark.parametrize(
    "properties",
    [
        {"sso_disabled": True},
        {"organization_usage": "require"},
        {"default_organization": {"organization_id": "org_1", "flows": ["client_credentials"]}},
        {"client_authentication_methods": {"private_key_jwt": {"credentials": [{"id": "c"}]}}},
        {"signed_request_object": {"required": True}},
        {"compliance_level": "fapi1_adv_pkj_par"},
        {"token_quota": {"client_credentials": {"enforce": True, "per_day": 10}}},
        {"jwt_configuration": {"lifetime_in_seconds": 300}},
        {"jwt_configuration": {"alg": "PS256"}},
        {"jwt_configuration": 7},
        {"par_request_expiry": 10},
        {"skip_non_verifiable_callback_uri_confirmation_prompt": False},
        {"third_party_security_mode": "strict"},
        {"redirection_policy": "open_redirect_protection"},
        {"oidc_support": {"is_allowed": False}},
        {"oidc_logout": {"backchannel_logout_initiators": {"mode": "all"}}},
        {"oidc_logout": {"backchannel_logout_initiators": {"selected_initiators": ["rp-logout", "account-deleted"]}}},
    ],
)
def test_value_that_would_weaken_security_is_refused(call, properties):
    answer = call("POST", "/clients", {**SHOP, **properties})

    ((name, inner),) = properties.items()
    named = next(iter(inner)) if name == "oidc_logout" else name
    assert error_of(answer) == (400, "operation_not_supported")
    assert f"'{named}'" in answer.json()["message"]
    assert not APPS.exists()


def test_metadata_does_not_change_the_branding(call, shop):
    look = save_branding(APPS.get(), {"title": "Harbour & Pine", "greeting": "Good day. " * 20, "accent": "#0f5132"})
    path = f"/clients/{shop['client_id']}"
    read = call("GET", path).json()["client_metadata"]
    answers = [
        call("PATCH", path, {"client_metadata": {**read, "plan": "gold", "look": each}}) for each in ("rustic", None)
    ]

    assert [each.json()["client_metadata"] for each in answers] == [
        {"plan": "gold", "look": "rustic"},
        {"plan": "gold"},
    ]
    assert branding_of(APPS.get()) == look


def test_cross_origin_authentication_is_saved_apart_from_metadata(call, shop):
    path = f"/clients/{shop['client_id']}"
    on = call("PATCH", path, {"cross_origin_authentication": True}).json()
    then = call("PATCH", path, {"client_metadata": {**on["client_metadata"], "plan": "gold"}}).json()
    embeds = may_embed(APPS.get())
    off = call("PATCH", path, {"cross_origin_authentication": False}).json()

    assert shop["cross_origin_authentication"] is False
    assert then["client_metadata"] == {"plan": "gold"}
    assert on["cross_origin_authentication"] is then["cross_origin_authentication"] is embeds is True
    assert off["cross_origin_authentication"] is may_embed(APPS.get()) is False


def test_older_name_of_back_channel_logout_is_accepted(call):
    older = {"oidc_backchannel_logout": {"backchannel_logout_urls": ["https://shop.example/old"]}}
    newer = {"oidc_logout": {"backchannel_logout_urls": ["https://shop.example/new"]}}
    one = call("POST", "/clients", {**SHOP, **older}).json()
    both = call("POST", "/clients", {**SHOP, **older, **newer}).json()

    assert one["oidc_logout"]["backchannel_logout_urls"] == ["https://shop.example/old"]
    assert both["oidc_logout"]["backchannel_logout_urls"] == ["https://shop.example/new"]


def test_chosen_secret_replaces_the_old_one(call, shop):
    chosen = random_secret(48)
    changed = call("PATCH", f"/clients/{shop['client_id']}", {"client_secret": chosen})

    kept = APPS.get().secret_hash
    assert changed.json()["client_secret"] == chosen
    assert matches_secret(chosen, kept)
    assert not matches_secret(shop["client_secret"], kept)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"client_secret": "summer2026"}, "weak_secret"),
        ({"client_secret": "x" * 32}, "weak_secret"),
        ({"client_secret": "summer2026" * 4}, "weak_secret"),
        ({"client_secret": "x" * 48, "token_endpoint_auth_method": "none"}, "public_client"),
    ],
)
def test_invalid_secret_changes_nothing(call, shop, body, code):
    answer = call("PATCH", f"/clients/{shop['client_id']}", {**body, "name": "Changed"})

    row = APPS.get()
    assert error_of(answer) == (400, code)
    assert (row.name, matches_secret(shop["client_secret"], row.secret_hash)) == (SHOP["name"], True)


def test_deleting_a_client_twice_is_no_error(call, shop):
    path = f"/clients/{shop['client_id']}"

    assert [call("DELETE", path).status_code, call("DELETE", path).status_code] == [204, 204]
    assert error_of(call("GET", path)) == (404, "inexistent_client")


def test_api_lifecycle_by_id_and_by_identifier(call, orders):
    by_id = call("GET", f"/resource-servers/{orders['id']}").json()
    by_name = call("GET", "/resource-servers/https%3A%2F%2Forders.example%2F").json()
    changed = call(
        "PATCH",
        f"/resource-servers/{orders['id']}",
        {"token_lifetime": 60, "token_dialect": "access_token_authz", "allow_offline_access": True},
    ).json()

    assert by_id == by_name == orders
    assert orders["scopes"][0] == ORDERS["scopes"][0]
    assert orders["allow_offline_access"] is False
    assert (changed["token_lifetime"], changed["token_dialect"]) == (60, "access_token_authz")
    assert call("DELETE", f"/resource-servers/{orders['id']}").status_code == 204
    assert not ResourceServer.objects.exists()


@pytest.mark.parametrize("dialect", ["access_token", "access_token_authz", "rfc9068_profile", "rfc9068_profile_authz"])
def test_every_token_dialect_of_auth0_is_stored(call, orders, dialect):
    changed = call("PATCH", f"/resource-servers/{orders['id']}", {"token_dialect": dialect}).json()
    made = call("POST", "/resource-servers", {"identifier": "https://new.example/", "token_dialect": dialect}).json()

    assert changed["token_dialect"] == made["token_dialect"] == dialect


def test_identifier_of_an_api_is_unique(call, orders):
    assert error_of(call("POST", "/resource-servers", ORDERS)) == (409, "resource_server_conflict")


@pytest.mark.parametrize(
    "change", [{"token_lifetime": 2592001}, {"signing_alg": "HS256"}, {"token_dialect": "klingon"}, {"scopes": ["a"]}]
)
def test_invalid_api_is_refused(call, orders, change):
    assert error_of(call("PATCH", f"/resource-servers/{orders['id']}", change)) == (400, "invalid_body")


def test_client_grant_lifecycle(call, shop, orders):
    body = {"client_id": shop["client_id"], "audience": ORDERS["identifier"], "scope": ["read:orders"]}
    made = call("POST", "/client-grants", body)
    path = f"/client-grants/{made.json()['id']}"
    listed = call("GET", "/client-grants", audience=ORDERS["identifier"]).json()

    assert made.status_code == 201
    assert [each["id"] for each in listed] == [made.json()["id"]]
    assert error_of(call("POST", "/client-grants", body)) == (409, "client_grant_conflict")
    assert error_of(call("PATCH", path, {"scope": ["fly"]})) == (400, "invalid_body")
    assert call("PATCH", path, {"scope": []}).json()["scope"] == []
    assert call("DELETE", path).status_code == 204
    assert error_of(call("GET", path)) == (404, "inexistent_client_grant")
    assert not ClientGrant.objects.exists()


def test_user_grants_are_listed_and_deleted(call, shop, chika):
    row = AppGrant.objects.create(profile=chika, client_id=shop["client_id"], scopes=["openid"])
    AppGrant.objects.create(profile=chika, client_id=shop["client_id"], audience="https://orders.example/")
    listed = call("GET", "/grants", user_id=chika.user_id).json()

    assert [each["audience"] for each in listed] == ["", "https://orders.example/"]
    assert (listed[0]["clientID"], listed[0]["user_id"]) == (shop["client_id"], chika.user_id)
    assert call("DELETE", f"/grants/{listed[0]['id']}").status_code == 204
    assert not AppGrant.objects.filter(pk=row.pk).exists()
    assert call("DELETE", "/grants", user_id=chika.user_id).status_code == 204
    assert not AppGrant.objects.exists()
    assert error_of(call("DELETE", "/grants")) == (400, "invalid_query_string")


@pytest.mark.parametrize("name", ["x", "%00", "f" * 24, "cgr_x", "9" * 40, "é"])
@pytest.mark.parametrize("path", ["/clients/", "/resource-servers/", "/client-grants/"])
def test_unknown_ids_are_not_found(call, path, name):
    assert call("GET", path + name).status_code in (400, 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/clients"),
        ("DELETE", "/v2/clients/x"),
        ("POST", "/v2/clients/x/rotate-secret"),
        ("POST", "/v2/resource-servers"),
        ("POST", "/v2/client-grants"),
        ("GET", "/v2/grants"),
    ],
)
def test_scope_to_read_clients_changes_nothing(api_client, method, path):
    assert error_of(api_client.call(method, path, SHOP, token=make_token("read:clients"))) == (
        403,
        "insufficient_scope",
    )
