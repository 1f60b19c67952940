"""Apps register themselves where the operator allows it, and get no data of a customer without consent."""

from __future__ import annotations

import json

import pytest

from regulars.clients.models import Client
from tests.oidc.app import CALLBACK, App, sign_in

BIKES = {"client_name": "Bikes & Co", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post"}

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
