"""The official auth0-python, unmodified, against a real server.

It always calls `https://{domain}`; the HTTP client that it takes as an argument is its seam, and ours leaves TLS out.
"""

from __future__ import annotations

import inspect

import httpx
import pytest
from auth0.management import ManagementClient
from auth0.management.errors import BadRequestError, NotFoundError

from regulars.connections.models import Connection
from regulars.interfaces.management_api.clients import ClientPatch, NewClient
from regulars.interfaces.management_api.connections import ConnectionChange, NewConnection
from regulars.profiles.learn import is_known
from regulars.profiles.models import Attribute
from tests.without_tls import WithoutTls

from .conftest import EVERYTHING, make_token

SET_UP = " create:clients update:clients create:connections update:connections"


@pytest.fixture
def auth0(live_server, chika):
    with httpx.Client(transport=WithoutTls(), timeout=10) as client:
        domain = live_server.url.removeprefix("http://")
        yield ManagementClient(domain=domain, token=make_token(EVERYTHING + SET_UP), httpx_client=client)


@pytest.mark.django_db(transaction=True)
def test_sdk_finds_updates_and_deletes_a_user(auth0, chika):
    path = "user_metadata.looking_for"
    Attribute.objects.create(key="looking_for", label="Looking for", purposes=["serve"], metadata_path=path)
    changed = auth0.users.update(chika.user_id, name="Chika", user_metadata={"looking_for": "jackets"})

    assert changed.user_metadata == {"looking_for": "jackets"}
    assert is_known(chika, "looking_for")
    assert [user.user_id for user in auth0.users.list(q="name:chi*", per_page=1)] == [chika.user_id]
    assert auth0.users.get(chika.user_id).name == "Chika"

    auth0.users.delete(chika.user_id)
    with pytest.raises(NotFoundError):
        auth0.users.get(chika.user_id)


@pytest.mark.django_db(transaction=True)
def test_sdk_creates_a_user_and_reads_the_setup(auth0, passwords):
    made = auth0.users.create(connection=passwords.name, email="dov@example.org", password="correct horse 9")

    assert [user.user_id for user in auth0.users.list_users_by_email(email="dov@example.org")] == [made.user_id]
    google = Connection.objects.create(name="google-oauth2", strategy="google-oauth2", display_name="Google")
    assert [each.name for each in auth0.connections.list(take=1)] == [passwords.name, google.name]
    assert [each.client_id for each in auth0.clients.list()] == ["bot"]


@pytest.mark.django_db(transaction=True)
def test_sdk_creates_a_client_with_its_usual_properties(auth0):
    made = auth0.clients.create(
        name="Harbour & Pine",
        description="The shop",
        app_type="regular_web",
        callbacks=["https://shop.example/callback"],
        cross_origin_authentication=True,
        oidc_logout={"backchannel_logout_urls": ["https://shop.example/bye"]},
        jwt_configuration={"alg": "RS256", "lifetime_in_seconds": 36000},
        b_2_b_integration_configuration={"is_enabled": False},
        refresh_token={"rotation_type": "rotating", "expiration_type": "expiring", "infinite_token_lifetime": False},
    )
    secret = "a-long-and-random-secret-of-the-shop-0123456789"
    changed = auth0.clients.update(made.client_id, client_secret=secret, sso_disabled=False, description="Our shop")

    assert (made.cross_origin_authentication, made.callbacks) == (True, ["https://shop.example/callback"])
    assert changed.client_secret == secret
    with pytest.raises(BadRequestError) as refused:
        auth0.clients.update(made.client_id, compliance_level="fapi1_adv_pkj_par")
    assert "'compliance_level'" in refused.value.body["message"]


@pytest.mark.django_db(transaction=True)
def test_sdk_creates_a_connection_with_its_usual_properties(auth0):
    options = {
        "client_id": "1",
        "client_secret": "s",
        "email": True,
        "profile": True,
        "set_user_root_attributes": "on_each_login",
    }
    made = auth0.connections.create(
        name="google-oauth2", strategy="google-oauth2", options=options, metadata={"team": "blue"}
    )
    changed = auth0.connections.update(made.id, display_name="Google", authentication={"active": True})

    assert changed.display_name == "Google"
    with pytest.raises(BadRequestError) as refused:
        auth0.connections.update(made.id, options={**options, "upstream_params": {"prompt": {"value": "login"}}})
    assert "'upstream_params'" in refused.value.body["message"]


@pytest.mark.parametrize(
    ("resource", "verb", "body"),
    [
        ("clients", "create", NewClient),
        ("clients", "update", ClientPatch),
        ("connections", "create", NewConnection),
        ("connections", "update", ConnectionChange),
    ],
)
def test_every_property_of_the_sdk_is_known(resource, verb, body):
    sdk = ManagementClient(domain="login.shop.example", token="t")
    named = set(inspect.signature(getattr(getattr(sdk, resource), verb)).parameters) - {"id", "request_options"}
    on_the_wire = {name.replace("b_2_b", "b2b") for name in named}

    assert len(on_the_wire) > 8
    assert on_the_wire <= set(body.model_fields) | set(body.without_effect)
