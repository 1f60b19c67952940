"""Apps register themselves where the operator allows it, and get no data of a customer without consent."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest
from django.conf import settings
from joserfc.jwk import ECKey, RSAKey

from regulars.clients.models import Client
from tests.oidc.app import CALLBACK, App, sign_in

BIKES = {"client_name": "Bikes & Co", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post"}

KEY = RSAKey.generate_key(2048).as_dict(private=False)
EC = ECKey.generate_key("P-256").as_dict(private=False)
HIDDEN = (
    "\n",
    "\x1b",
    "\x7f",
    "\x85",
    "\u061c",
    "\u200b",
    "\u200f",
    "\u202e",
    "\u2028",
    "\u2066",
    "\ufeff",
    "\U000e0041",
)
NATIVE = {"application_type": "native", "token_endpoint_auth_method": "none"}


@pytest.fixture
def _open(settings):
    settings.DYNAMIC_REGISTRATION = True


def register(client, body=BIKES):
    data = body if isinstance(body, bytes) else json.dumps(body)
    return client.post("/oidc/register", data, content_type="application/json")


def test_it_is_closed_until_the_operator_opens_it(client, standard_setup):
    answer = register(client)
    found = client.get("/.well-known/openid-configuration").json()

    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
    assert "registration_endpoint" not in found
    assert not Client.objects.exists()


@pytest.mark.usefixtures("_open")
def test_an_app_that_registered_itself_needs_consent(client, customer):
    made = register(client)
    bikes = App(client, made.json()["client_id"], secret=made.json()["client_secret"])
    sign_in(client, customer)

    assert made.status_code == 201
    assert bikes.authorize()["Location"].startswith("/authorize/consent?")
    assert bikes.answer(prompt="none")["error"] == "consent_required"
    assert "registration_endpoint" in client.get("/.well-known/openid-configuration").json()


@pytest.mark.usefixtures("_open")
@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "invalid_client_metadata"),
        (b"[]", "invalid_client_metadata"),
        (b"\xff", "invalid_client_metadata"),
        (b"x" * 70_000, "invalid_client_metadata"),
        ({}, "invalid_client_metadata"),
        ({**BIKES, "client_name": 7}, "invalid_client_metadata"),
        ({**BIKES, "client_name": "nul\0"}, "invalid_client_metadata"),
        *(({**BIKES, "client_name": f"Ba{hidden}nk"}, "invalid_client_metadata") for hidden in HIDDEN),
        ({**BIKES, "redirect_uris": "x"}, "invalid_client_metadata"),
        ({**BIKES, "redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({**BIKES, "grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({**BIKES, "grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({**BIKES, "jwks": {"keys": [7]}}, "invalid_client_metadata"),
        ({**BIKES, "jwks": [KEY]}, "invalid_client_metadata"),
        ({**BIKES, "jwks": {"keys": "x"}}, "invalid_client_metadata"),
        ({**BIKES, "jwks": {}}, "invalid_client_metadata"),
        ({**BIKES, "jwks": {"keys": [KEY]}, "jwks_uri": "https://bikes.example/keys"}, "invalid_client_metadata"),
        ({**BIKES, "redirect_uris": []}, "invalid_client_metadata"),
        ({"client_name": "Bikes & Co"}, "invalid_client_metadata"),
        ({**BIKES, "redirect_uris": [""]}, "invalid_redirect_uri"),
        ({**BIKES, "redirect_uris": ["https://[bikes/"], "client_name": None}, "invalid_redirect_uri"),
        ({**BIKES, "grant_types": ["refresh_token"]}, "invalid_client_metadata"),
        ({**BIKES, "grant_types": []}, "invalid_client_metadata"),
        ({**BIKES, "response_types": ["id_token"]}, "invalid_client_metadata"),
        ({**BIKES, "response_types": ["code", "code id_token"]}, "invalid_client_metadata"),
        ({**BIKES, "response_types": []}, "invalid_client_metadata"),
        ({**BIKES, "response_types": "code"}, "invalid_client_metadata"),
        ({**BIKES, "token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
    ],
)
def test_what_it_may_not_be_is_refused_by_name(client, standard_setup, body, error):
    answer = register(client, body)

    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert not Client.objects.exists()


@pytest.mark.usefixtures("_open")
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"redirect_uris": ["http://bikes.example/callback"]}, 400),
        ({"redirect_uris": ["HTTP://bikes.example/callback"]}, 400),
        ({"redirect_uris": ["http://localhost/callback"]}, 400),
        ({"redirect_uris": ["https://bikes.example/callback", "http://127.0.0.1/callback"]}, 400),
        ({"post_logout_redirect_uris": ["http://bikes.example/"]}, 400),
        ({"redirect_uris": ["http://bikes.example/callback"], **NATIVE}, 400),
        ({"redirect_uris": ["http://localhost.bikes.example/callback"], **NATIVE}, 400),
        ({"redirect_uris": ["http://127.0.0.1@bikes.example/callback"], **NATIVE}, 400),
        ({"redirect_uris": ["http://192.168.1.7/callback"], **NATIVE}, 400),
        ({"redirect_uris": ["http://localhost:8123/callback"], **NATIVE}, 201),
        ({"redirect_uris": ["http://127.0.0.1/callback", "http://[::1]:9/callback"], **NATIVE}, 201),
        ({"redirect_uris": ["com.bikes.app:/done"], **NATIVE}, 201),
        ({"redirect_uris": ["https://bikes.example/callback"]}, 201),
    ],
)
def test_plain_http_is_for_native_applications_on_this_machine(client, standard_setup, sent, status):
    assert register(client, {**BIKES, **sent}).status_code == status


@pytest.mark.usefixtures("_open")
@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("http://bikes.example/logout", 400),
        ("https://localhost/logout", 400),
        ("https://localhost./logout", 400),
        ("https://shop.localhost/logout", 400),
        ("https://127.0.0.1/logout", 400),
        ("https://127.1/logout", 400),
        ("https://2130706433/logout", 400),
        ("https://0x7f.0.0.1/logout", 400),
        ("https://[::1]/logout", 400),
        ("https://[::ffff:127.0.0.1]/logout", 400),
        ("https://10.0.0.7/logout", 400),
        ("https://169.254.169.254/logout", 400),
        ("https://intranet/logout", 400),
        ("https://erp.shop.example/logout", 400),
        ("https://erp。shop.example/logout", 400),
        ("https://räder.example/logout", 201),
        ("https://bikes.example/logout", 201),
    ],
)
def test_back_channel_of_a_registered_app_is_on_the_public_web(client, standard_setup, settings, address, status):
    settings.DEMO, settings.ALLOW_HOSTS = True, ["erp.shop.example"]

    answer = register(client, {**BIKES, "backchannel_logout_uri": address})

    assert answer.status_code == status
    assert status == 201 or answer.json()["error"] == "invalid_client_metadata"


@pytest.mark.usefixtures("_open")
@pytest.mark.parametrize("name", ["Bikes & Co", "دوچرخه\u200cها", "👩\u200d🔧 Räder", "自転車"])
def test_names_of_every_script_are_taken(client, standard_setup, name):
    assert register(client, {**BIKES, "client_name": name}).json()["client_name"] == name


@pytest.mark.usefixtures("_open")
@pytest.mark.parametrize(
    ("uris", "name"),
    [
        (["https://bikes.example/callback", "https://shop.bikes.example/"], "bikes.example"),
        (["com.bikes.app:/done"], "com.bikes.app"),
    ],
)
@pytest.mark.parametrize("nameless", [{}, {"client_name": None}])
def test_an_app_without_a_name_is_named_by_where_its_data_goes(client, customer, uris, name, nameless):
    body = {"redirect_uris": uris, **nameless, **(NATIVE if "app" in name else {})}
    answer = register(client, body)

    assert (answer.status_code, answer.json()["client_name"]) == (201, name)
    assert Client.objects.get(pk=answer.json()["client_id"]).name == name


@pytest.mark.usefixtures("_open")
@pytest.mark.parametrize(
    "sent",
    [
        {"subject_type": "pairwise"},
        {"id_token_signed_response_alg": "ES256"},
        {"id_token_signed_response_alg": "none"},
        {"id_token_signed_response_alg": ["RS256"]},
        {"id_token_encrypted_response_alg": "RSA-OAEP"},
        {"userinfo_signed_response_alg": "PS256"},
        {"userinfo_encrypted_response_alg": "RSA-OAEP"},
        {"authorization_signed_response_alg": "RS256"},
        {"introspection_signed_response_alg": "RS256"},
        {"token_endpoint_auth_signing_alg": "HS256"},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"application_type": "desktop"},
        {"default_max_age": -1},
        {"default_max_age": "60"},
        {"default_max_age": True},
        {"default_max_age": 2**31},
        {"default_acr_values": ["urn:x"]},
        {"require_auth_time": "yes"},
        {"require_signed_request_object": True},
        {"tls_client_certificate_bound_access_tokens": True},
        {"tls_client_certificate_bound_access_tokens": 0},
        {"require_pushed_authorization_requests": "true"},
        {"dpop_bound_access_tokens": 1},
    ],
)
def test_a_value_that_would_not_hold_is_refused_by_name(client, standard_setup, sent):
    answer = register(client, {**BIKES, **sent})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    assert not Client.objects.exists()


@pytest.mark.usefixtures("_open")
def test_what_is_registered_is_answered_and_holds(client, customer):
    sent = {
        **BIKES,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "subject_type": "public",
        "id_token_signed_response_alg": "RS256",
        "application_type": "web",
        "post_logout_redirect_uris": ["https://bikes.example/"],
        "backchannel_logout_uri": "https://bikes.example/bye",
        "require_pushed_authorization_requests": True,
        "dpop_bound_access_tokens": True,
        "require_auth_time": True,
    }
    unknown = {
        "logo_uri": "https://bikes.example/logo",
        "contacts": ["ana@bikes.example"],
        "userinfo_signed_response_alg": None,
    }
    answer = register(client, {**sent, **unknown}).json()

    assert {name: value for name, value in answer.items() if name in sent} == {
        name: value for name, value in sent.items() if name != "require_auth_time"
    }
    assert not set(answer) & set(unknown)
    sign_in(client, customer)
    assert App(client, answer["client_id"]).answer()["error"] == "invalid_request"  # it may only push its requests


@pytest.mark.usefixtures("_open")
@pytest.mark.parametrize(
    ("algorithm", "keys", "status"),
    [("PS256", [KEY], 201), ("ES256", [EC], 201), ("ES256", [KEY], 400), ("PS256", [{**KEY, "alg": "RS256"}], 400)],
)
def test_an_app_signs_with_the_algorithm_that_it_registered(client, standard_setup, algorithm, keys, status):
    method = {"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": algorithm}
    answer = register(client, {**BIKES, **method, "jwks": {"keys": keys}})

    assert answer.status_code == status
    assert status == 400 or answer.json()["token_endpoint_auth_signing_alg"] == algorithm


BY_SIGNATURE = {"token_endpoint_auth_method": "private_key_jwt"}


@pytest.mark.usefixtures("_open")
@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("https://bikes.example/keys.json", 201),
        ("http://bikes.example/keys.json", 400),
        ("https://127.0.0.1/keys", 400),
        ("https://169.254.169.254/latest", 400),
        ("https://erp.shop.example/keys", 400),
        ("https://erp\uff61shop.example/keys", 400),
        ("https://localhost/keys", 400),
        ("https:///keys", 400),
        ("file:///etc/passwd", 400),
        ("", 400),
        (7, 400),
    ],
)
def test_an_app_registers_the_address_of_its_keys(client, standard_setup, settings, address, status):
    settings.ALLOW_HOSTS = ["erp.shop.example"]
    answer = register(client, {**BIKES, **BY_SIGNATURE, "jwks_uri": address})

    assert answer.status_code == status
    assert answer.json().get("error") == (None if status == 201 else "invalid_client_metadata")
    assert status == 400 or answer.json()["jwks_uri"] == Client.objects.get().jwks_uri == address


@pytest.mark.usefixtures("_open")
@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("initiate_login_uri", "https://bikes.example/start", 201),
        ("initiate_login_uri", "http://bikes.example/start", 400),
        ("initiate_login_uri", "com.bikes.app:/start", 400),
        ("initiate_login_uri", "javascript:alert(1)", 400),
        ("initiate_login_uri", "/start", 400),
        ("userinfo_signed_response_alg", "RS256", 201),
        ("userinfo_signed_response_alg", "ES256", 400),
        ("userinfo_signed_response_alg", "none", 400),
        ("userinfo_signed_response_alg", "", 400),
    ],
)
def test_what_is_registered_is_returned_and_the_rest_is_refused(client, standard_setup, field, value, status):
    answer = register(client, {**BIKES, field: value})

    assert answer.status_code == status
    assert answer.json().get(field) == (value if status == 201 else None)
    assert status == 201 or answer.json()["error"] == "invalid_client_metadata"


@pytest.mark.usefixtures("_open")
def test_a_customer_who_is_stuck_is_led_to_the_page_that_starts_a_login(client, standard_setup):
    where = "https://bikes.example/start?lang=de"
    made = register(client, {**BIKES, "initiate_login_uri": where}).json()
    gone = f"/authorize?client_id={made['client_id']}&request_uri=urn:ietf:params:oauth:request_uri:gone"
    page = client.get(gone).content.decode()
    plain = client.get(
        f"/authorize?client_id={register(client).json()['client_id']}&redirect_uri=https://evil.example/"
    )

    assert f'href="{where}&amp;iss={quote(settings.ISSUER, safe="")}"' in page
    assert "Start again" not in plain.content.decode()


@pytest.mark.usefixtures("_open")
@pytest.mark.parametrize(("age", "asks"), [(3600, False), (60, True), (0, True)])
def test_a_registered_default_max_age_is_kept_to(client, customer, age, asks):
    made = register(client, {**BIKES, "default_max_age": age}).json()
    bikes = App(client, made["client_id"])
    sign_in(client, customer, at=time.time() - 600)

    assert made["default_max_age"] == age
    assert bikes.authorize()["Location"].startswith("/login?" if asks else "/authorize/consent?")
    assert bikes.answer(prompt="none")["error"] == ("login_required" if asks else "consent_required")
    assert bikes.answer(prompt="none", max_age="10000")["error"] == "consent_required"


@pytest.mark.usefixtures("_open")
def test_what_a_library_sends_unasked_is_no_reason_to_refuse(client, standard_setup):
    """As idpyoidc registers: with algorithms of request objects, which are all rejected here."""
    sent = {
        "application_type": "web",
        "response_types": ["code"],
        "request_object_signing_alg": "RS256",
        "request_object_encryption_alg": "RSA-OAEP",
        "subject_type": "public",
        "id_token_signed_response_alg": "RS256",
        "default_max_age": 86400,
    }
    answer = register(client, {**BIKES, **sent})

    assert answer.status_code == 201
    assert "request_object_signing_alg" not in answer.json()
