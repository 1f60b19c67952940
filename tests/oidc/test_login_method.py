"""`context.connection` is the login method of this very sign-in: never another identity of the same customer."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from regulars.clients.models import Client
from regulars.connections.models import Connection
from regulars.events.models import Event
from regulars.oauth.grant import DEVICE_CODE
from regulars.oauth.models import DeviceRequest
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.models import Profile
from regulars.rules.save import save_rule
from regulars.usecases.users import link
from tests.login.device import Phone
from tests.notices import send_device_code
from tests.oidc.app import App, id_claims, make_client, sign_in
from tests.openid import openid_provider

TELL = """function (user, context, callback) {
  const methods = context.authentication.methods.map(method => method.name);
  context.idToken.by = [context.connection, context.connectionStrategy, ...methods];
  callback(null, user, context);
}"""
ONLY_CORP = """function (user, context, callback) {
  if (context.connection !== 'corp') return callback(new UnauthorizedError('Use your work account.'));
  callback(null, user, context);
}"""


@pytest.fixture(autouse=True)
def _rule(standard_setup, settings):
    settings.DEMO, settings.PUBLIC_URL = True, "http://localhost:8000"
    save_rule(name="Tell", language="javascript", script=TELL)


@pytest.fixture
def two(client):
    """Two OpenID Connect connections that both give the subject 7, and a customer who linked both."""
    with openid_provider() as corp, openid_provider() as club:
        for name, provider in (("corp", corp), ("club", club)):
            Connection.objects.create(
                name=name, strategy="oidc", display_name=name, client_id="shop", urls={"issuer": provider.url}
            )
        assert corp.sign_in(client, "corp", next="/x")["Location"] == "/x"
        assert club.sign_in(client, "club", link="1", next="/x")["Location"] == "/x"
        client.post("/logout")
        assert Profile.objects.get(merged_into=None).identities.count() == 2
        yield corp, club


def app_in(browser, **fields) -> App:
    make_client(grant_types=["authorization_code", "refresh_token"], **fields)
    return App(browser, standard={"scope": "openid offline_access"})


def by(tokens) -> list[str]:
    return id_claims(tokens)["by"]


def test_each_of_two_connections_is_named_when_it_is_used(two, client):
    app = app_in(client)
    for provider, name in zip(two, ("corp", "club"), strict=True):
        provider.sign_in(client, name, next="/x")
        assert by(app.tokens()) == [name, "oidc", "federated"]
        assert by(app.tokens(prompt="none")) == [name, "oidc", "federated"]  # a silent login later in the session
        client.post("/logout")
    found = Event.objects.filter(name="Signed In").order_by("pk").values_list("properties__connection", flat=True)
    assert list(found) == ["corp", "club"]


def test_rule_that_admits_one_connection_refuses_the_other(two, client):
    save_rule(name="Work only", language="javascript", script=ONLY_CORP)
    app = app_in(client)
    corp, club = two
    club.sign_in(client, "club", next="/x")
    refused = app.answer()
    client.post("/logout")
    corp.sign_in(client, "corp", next="/x")

    assert (refused["error"], refused["error_description"]) == ("unauthorized", "Use your work account.")
    assert "code" in app.answer()


def test_refresh_token_keeps_the_connection_of_its_sign_in(two, client):
    app = app_in(client)
    corp, club = two
    club.sign_in(client, "club", next="/x")
    offline = app.tokens()["refresh_token"]
    corp.sign_in(client, "corp", next="/x", prompt="login")  # another sign-in in this browser changes nothing there
    renewed = app.refresh(offline).json()

    assert by(renewed) == ["club", "oidc", "federated"]
    assert by(app.refresh(renewed["refresh_token"]).json()) == ["club", "oidc", "federated"]
    save_rule(name="Work only", language="javascript", script=ONLY_CORP)
    assert app.refresh(renewed["refresh_token"]).status_code == 400


def test_device_gets_the_connection_of_the_session_that_allowed_it(two, client):
    make_client("tv", auth_method="none", secret_hash="", grant_types=[DEVICE_CODE, "refresh_token"])
    tv = App(Browser(), "tv", secret="")
    two[1].sign_in(client, "club", next="/x")
    codes = tv.browser.post("/oauth/device/code", {"client_id": "tv", "scope": "openid offline_access"}).json()
    send_device_code(client, codes["user_code"])
    DeviceRequest.objects.update(asked_at=None)
    tokens = tv.token(grant_type=DEVICE_CODE, device_code=codes["device_code"]).json()

    assert by(tokens) == ["club", "oidc", "federated"]
    assert by(tv.refresh(tokens["refresh_token"]).json()) == ["club", "oidc", "federated"]


@pytest.fixture
def phone(two, client) -> Phone:
    """The customer's passkey, which they added from the connection `corp`."""
    made = Phone()
    two[0].sign_in(client, "corp", next="/x")
    begun = client.post("/me/security/passkeys/options").json()
    assert client.post("/me/security/passkeys", {"credential": made.make(begun), "name": "Phone"}).status_code == 302
    client.post("/logout")
    return made


def test_passkey_alone_is_named_a_passkey(phone, client):
    client.post("/passkey?next=/x", {"credential": phone.sign(client.post("/passkey/options").json())})
    tokens = app_in(client).tokens()

    assert by(tokens) == ["passkey", "passkey", "passkey", "mfa"]
    assert id_claims(tokens)["amr"] == ["mfa", "hwk"]
    assert Event.objects.get(name="Signed In").properties["connection"] == "passkey"


def test_passkey_as_second_factor_leaves_the_name_of_the_first(phone, two, client):
    assert two[1].sign_in(client, "club", next="/x")["Location"] == "/second-factor"
    client.post("/second-factor", {"credential": phone.sign(client.post("/second-factor/options").json())})
    tokens = app_in(client).tokens()

    assert by(tokens) == ["club", "oidc", "federated", "mfa"]
    assert id_claims(tokens)["amr"] == ["fed", "mfa", "hwk"]


def test_password_and_mailed_code_of_one_account_have_their_own_names(client):
    """The account of a password has no identity for codes by mail, and the other way round."""
    for record, expected in (
        ({"method": "password"}, ["Username-Password-Authentication", "auth0", "pwd"]),
        ({"method": "code"}, ["email", "email", "email"]),
    ):
        profile, _ = get_or_create_by_identity("auth0", "5f3c", connection="elsewhere")
        sign_in(client, profile, **record)
        app = App(client, standard={"scope": "openid"}) if Client.objects.exists() else app_in(client)
        assert by(app.tokens()) == expected


@pytest.mark.parametrize(("linked", "found"), [(["corp"], "corp"), (["corp", "club"], "")])
def test_session_from_before_connections_were_recorded_names_none_that_it_could_not_be(client, linked, found):
    for name in linked:
        profile, _ = get_or_create_by_identity("oidc", f"{name}|7", connection=name, is_social=True)
        if name != linked[0]:
            link(Profile.objects.get(user_id=f"oidc|{linked[0]}|7"), profile, "customer")
    profile = Profile.objects.get(user_id=f"oidc|{linked[0]}|7")
    sign_in(client, profile, method="socialaccount", provider="oidc", uid="7")

    assert by(app_in(client).tokens()) == [found, "oidc", "federated"]
