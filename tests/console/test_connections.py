"""Connections in the console."""

from __future__ import annotations

import logging

import pytest
from joserfc.jwk import ECKey

from regulars.connections.models import Connection
from regulars.connections.provider import PROVIDERS, scopes_of
from regulars.interfaces.console.models import AuditEntry
from regulars.profiles.models import Attribute

NASTY = "<script>alert(1)</script>"
SECRET = "GOCSPX-very-secret-4711"
GOOGLE = {
    "name": "google-oauth2",
    "display_name": "Google",
    "client_id": "shop.apps.example",
    "secret": SECRET,
    "scopes": "openid email profile",
    "requested_claims": ["birthday", "address"],
    "enabled": "on",
}
PARTNER = {**GOOGLE, "name": "partner", "display_name": "Partner", "issuer": "https://login.partner.example"}
NEW_GOOGLE, NEW_OIDC = "/console/connections/new?strategy=google-oauth2", "/console/connections/new?strategy=oidc"


def test_ana_adds_google_with_optional_scopes(console):
    response = console.post(NEW_GOOGLE, GOOGLE)

    row = Connection.objects.get()
    assert (response.status_code, response["Location"]) == (302, "/console/connections/google-oauth2")
    assert (row.strategy, row.secret, row.requested_claims, row.urls) == (
        "google-oauth2",
        SECRET,
        ["birthday", "address"],
        {},
    )
    assert AuditEntry.objects.get().what == "connection.saved"


def test_any_issuer_of_openid_connect_is_a_way_in(console):
    console.post(NEW_OIDC, PARTNER)

    row = Connection.objects.get()
    assert (row.strategy, row.urls) == ("oidc", {"issuer": "https://login.partner.example"})


def test_the_secret_is_never_shown_and_stays_when_left_empty(console, caplog):
    caplog.set_level(logging.DEBUG)
    console.post(NEW_GOOGLE, GOOGLE)
    wrong = console.post("/console/connections/google-oauth2", {**GOOGLE, "display_name": ""})
    console.post(
        "/console/connections/google-oauth2", {**GOOGLE, "secret": "", "note": "A mock service", "requested_claims": []}
    )

    row = Connection.objects.get()
    pages = [wrong, console.get("/console/connections"), console.get("/console/connections/google-oauth2")]
    assert (row.secret, row.note, row.requested_claims) == (SECRET, "A mock service", [])
    assert all(SECRET not in page.content.decode() for page in pages)
    assert SECRET not in caplog.text
    assert SECRET not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"display_name": ""}, "display_name"),
        ({"display_name": "x" * 129}, "display_name"),
        ({"name": "no blanks"}, "name"),
        ({"name": "new"}, "name"),
        ({"name": "taken"}, "name"),
        ({"client_id": " "}, "client_id"),
        ({"secret": ""}, "secret"),
        ({"issuer": ""}, "issuer"),
        ({"issuer": "http://partner.example"}, "issuer"),
        ({"issuer": "javascript:alert(1)"}, "issuer"),
        ({"issuer": "https://user:pw@partner.example"}, "issuer"),
        ({"issuer": "https://[::1"}, "issuer"),
        ({"scopes": 'openid "quoted"'}, "scopes"),
        ({"requested_claims": ["shoe_size"]}, "requested_claims"),
        ({"note": "x" * 201}, "note"),
    ],
)
def test_an_error_is_shown_beside_its_field(console, change, about):
    Connection.objects.create(name="taken", strategy="oidc")

    response = console.post(NEW_OIDC, {**PARTNER, **change})

    assert response.status_code == (409 if change == {"name": "taken"} else 400)
    assert response.context["problem"].field == about
    assert f'href="#in-{about.replace("_", "-")}"' in response.content.decode()
    assert f'id="in-{about.replace("_", "-")}"' in response.content.decode()
    assert Connection.objects.count() == 1


def test_a_mock_service_on_this_machine_needs_no_tls(console):
    console.post(
        NEW_GOOGLE, {**GOOGLE, "issuer": "http://localhost:9200", "people": "http://127.0.0.1:9200/v1/people/me"}
    )

    assert Connection.objects.get().urls == {
        "issuer": "http://localhost:9200",
        "people": "http://127.0.0.1:9200/v1/people/me",
    }


def test_the_password_connection_has_words_and_a_switch_and_no_secret(console):
    Connection.objects.create(name="Username-Password-Authentication", strategy="auth0", display_name="E-mail")
    address = "/console/connections/Username-Password-Authentication"

    assert "Client secret" not in console.get(address).content.decode()
    console.post(address, {"display_name": "E-mail and password", "enabled": "on"})
    console.post(address + "/switch", {"on": "0"})

    row = Connection.objects.get()
    assert (row.display_name, row.enabled, row.secret) == ("E-mail and password", False, None)


def test_mia_reads_and_may_not_write(mia_console):
    Connection.objects.create(name="google-oauth2", strategy="google-oauth2", display_name="Google", secret=SECRET)

    assert SECRET not in mia_console.get("/console/connections/google-oauth2").content.decode()
    assert mia_console.post(NEW_OIDC, PARTNER).status_code == 403
    assert mia_console.post("/console/connections/google-oauth2", GOOGLE).status_code == 403
    assert mia_console.post("/console/connections/google-oauth2/switch", {"on": "0"}).status_code == 403
    assert Connection.objects.get().enabled


def test_the_callback_to_register_and_the_cost_of_each_piece_are_shown(console, settings):
    page = console.get(NEW_GOOGLE).content.decode()

    assert f"{settings.PUBLIC_URL}/login/callback" in page
    assert "https://www.googleapis.com/auth/user.birthday.read" in page
    assert "Google verifies apps" in page


def test_words_are_words_and_never_markup(console):
    console.post(NEW_GOOGLE, {**GOOGLE, "display_name": NASTY, "note": NASTY})

    for address in ("/console/connections", "/console/connections/google-oauth2"):
        assert NASTY not in console.get(address).content.decode()


def test_many_connections_cost_as_many_queries_as_one(console, django_assert_max_num_queries):
    for number in range(15):
        Connection.objects.create(name=f"way-{number}", strategy="oidc", display_name=f"Way {number}")

    with django_assert_max_num_queries(6):
        console.get("/console/connections")


def test_every_piece_fills_attributes_that_there_are(standard_setup):
    known = set(Attribute.objects.values_list("key", flat=True))

    for strategy in PROVIDERS.values():
        for claim in strategy.requested_claims:
            assert known.issuperset(claim.attributes)
    assert scopes_of("oidc", ["gender", "birthday"]) == ["profile"]


def test_an_unknown_connection_is_not_found(console):
    assert console.get("/console/connections/nowhere").status_code == 404
    assert console.post("/console/connections/nowhere/switch", {"on": "1"}).status_code == 400


def test_every_kind_of_provider_has_a_form(console):
    for kind in PROVIDERS:
        page = console.get(f"/console/connections/new?strategy={kind}").content.decode()

        assert PROVIDERS[kind].label in page
        assert all(claim.label in page for claim in PROVIDERS[kind].requested_claims)


def test_apple_wants_a_key_that_can_sign(console):
    given = {
        **GOOGLE,
        "name": "apple",
        "scopes": "name email",
        "requested_claims": [],
        "setting.team_id": "T1",
        "setting.key_id": "K1",
    }
    wrong = console.post("/console/connections/new?strategy=apple", given)
    key = ECKey.generate_key("P-256").as_pem(private=True).decode()
    right = console.post("/console/connections/new?strategy=apple", {**given, "secret": key})

    assert (wrong.status_code, right.status_code) == (400, 302)
    assert "paste the whole .p8 file" in wrong.content.decode()
    assert Connection.objects.get().settings == {"team_id": "T1", "key_id": "K1"}


def test_a_provider_of_plain_oauth_is_a_way_in_once_its_addresses_are_written(console):
    given = {**GOOGLE, "name": "members", "scopes": "basic", "requested_claims": [], "setting.id_at": "member.no"}
    places = {"authorize": "https://m.example/a", "token": "https://m.example/t", "user": "https://m.example/u"}
    without = console.post("/console/connections/new?strategy=oauth2", given)
    console.post("/console/connections/new?strategy=oauth2", {**given, **places})

    row = Connection.objects.get()
    assert without.status_code == 400
    assert (row.urls, row.scopes, row.settings["id_at"]) == (places, ["basic"], "member.no")
