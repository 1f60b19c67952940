"""Applications in the console."""

from __future__ import annotations

import logging

import pytest

from regulars.base.crypto import matches_secret
from regulars.clients.models import Client, ClientGrant, ResourceServer, management_audience
from regulars.interfaces.console.models import AuditEntry

SHOP = {
    "name": "Shop",
    "auth_method": "client_secret_post",
    "grant_types": ["authorization_code", "refresh_token"],
    "redirect_uris": "https://shop.example/callback\ncom.shop.app:/done",
    "logout_uris": "https://shop.example/",
    "web_origins": "https://shop.example/",
}


def test_ana_registers_an_app_and_reads_its_secret_once(console, caplog):
    caplog.set_level(logging.DEBUG)
    made = console.post("/console/applications/new", SHOP)

    client, secret = Client.objects.get(), made.context["secret"]
    assert matches_secret(secret, client.secret_hash)
    assert secret in made.content.decode()
    assert made["Cache-Control"] == "no-store"
    assert (client.redirect_uris, client.web_origins) == (
        ["https://shop.example/callback", "com.shop.app:/done"],
        ["https://shop.example"],
    )
    for address in ("/console/applications", f"/console/applications/{client.pk}"):
        page = console.get(address).content.decode()
        assert secret not in page
        assert client.secret_hash not in page
    assert secret not in caplog.text
    assert secret not in str(list(AuditEntry.objects.values()))


def test_a_public_app_has_no_secret(console):
    response = console.post("/console/applications/new", {**SHOP, "auth_method": "none"})

    client = Client.objects.get()
    assert response.status_code == 302
    assert client.secret_hash == ""
    assert console.post(f"/console/applications/{client.pk}/rotate").status_code == 400


def test_the_dialect_of_answers_is_set_and_stays_without_the_field(console):
    console.post("/console/applications/new", {**SHOP, "answers": "openid"})
    client = Client.objects.get()
    page = console.get(f"/console/applications/{client.pk}").content.decode()
    console.post(f"/console/applications/{client.pk}", SHOP)

    assert '<option value="openid" selected>' in page
    assert (client.answers, Client.objects.get().answers) == ("openid", "openid")


def test_changing_an_app_keeps_its_secret_and_goes_back_to_it(console):
    secret = console.post("/console/applications/new", SHOP).context["secret"]
    client = Client.objects.get()

    response = console.post(f"/console/applications/{client.pk}", {**SHOP, "name": "The shop"})

    client.refresh_from_db()
    assert response["Location"] == f"/console/applications/{client.pk}"
    assert client.name == "The shop"
    assert matches_secret(secret, client.secret_hash)


def test_a_public_app_that_becomes_private_gets_a_secret(console):
    console.post("/console/applications/new", {**SHOP, "auth_method": "none"})
    client = Client.objects.get()

    response = console.post(f"/console/applications/{client.pk}", SHOP)

    client.refresh_from_db()
    assert matches_secret(response.context["secret"], client.secret_hash)


def test_a_new_secret_ends_the_old_one(console):
    old = console.post("/console/applications/new", SHOP).context["secret"]

    new = console.post(f"/console/applications/{Client.objects.get().pk}/rotate").context["secret"]

    kept = Client.objects.get().secret_hash
    assert matches_secret(new, kept)
    assert not matches_secret(old, kept)


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"auth_method": "trust me"}, "auth_method"),
        ({"answers": "klingon"}, "answers"),
        ({"auth_method": "none", "grant_types": ["client_credentials"]}, "auth_method"),
        ({"grant_types": []}, "grant_types"),
        ({"grant_types": ["password"]}, "grant_types"),
        ({"redirect_uris": "javascript:alert(1)"}, "redirect_uris"),
        ({"redirect_uris": "https://*.shop.example/cb"}, "redirect_uris"),
        ({"redirect_uris": "https://shop.example/cb#here"}, "redirect_uris"),
        ({"redirect_uris": "/cb"}, "redirect_uris"),
        ({"redirect_uris": "https://[::1"}, "redirect_uris"),
        ({"redirect_uris": "\n".join(f"https://shop.example/{n}" for n in range(101))}, "redirect_uris"),
        ({"logout_uris": "shop.example"}, "logout_uris"),
        ({"web_origins": "https://shop.example/path"}, "web_origins"),
        ({"jwks_uri": "shop.example/keys"}, "jwks_uri"),
        ({"initiate_login_uri": "http://shop.example/start"}, "initiate_login_uri"),
        ({"default_max_age": "an hour"}, "default_max_age"),
        ({"default_max_age": "-1"}, "default_max_age"),
        ({"default_max_age": "9999999999"}, "default_max_age"),
    ],
)
def test_an_error_is_shown_beside_its_field(console, change, about):
    response = console.post("/console/applications/new", {**SHOP, **change})

    assert response.status_code == 400
    assert response.context["problem"].field == about
    assert f'id="in-{about.replace("_", "-")}-problem"' in response.content.decode()
    assert not Client.objects.exists()


def test_an_app_signs_with_the_keys_behind_its_address(console):
    by_signature = {"auth_method": "private_key_jwt", "jwks_uri": " https://shop.example/keys "}
    console.post("/console/applications/new", {**SHOP, **by_signature})
    client = Client.objects.get()
    page = console.get(f"/console/applications/{client.pk}").content.decode()

    assert (client.jwks_uri, client.secret_hash) == ("https://shop.example/keys", "")
    assert 'value="https://shop.example/keys"' in page


def test_an_app_has_a_page_that_starts_a_login_and_signed_answers(console):
    more = {"initiate_login_uri": "https://shop.example/start", "userinfo_algorithm": "on", "default_max_age": "0"}
    more["requires_second_factor"] = "on"
    console.post("/console/applications/new", {**SHOP, **more})
    client = Client.objects.get()
    page = console.get(f"/console/applications/{client.pk}").content.decode()
    stored = (client.initiate_login_uri, client.userinfo_algorithm, client.default_max_age)
    required = client.requires_second_factor
    console.post(f"/console/applications/{client.pk}", SHOP)
    client.refresh_from_db()

    assert stored == ("https://shop.example/start", "RS256", 0)
    assert 'value="https://shop.example/start"' in page
    assert 'name="userinfo_algorithm" checked' in page
    assert (required, client.requires_second_factor) == (True, False)
    assert (client.initiate_login_uri, client.userinfo_algorithm, client.default_max_age) == ("", "", None)


def test_mia_reads_and_may_not_write(mia_console):
    Client.objects.create(client_id="shop", name="Shop")

    assert mia_console.get("/console/applications/shop").status_code == 200
    assert mia_console.post("/console/applications/new", SHOP).status_code == 403
    assert mia_console.post("/console/applications/shop", SHOP).status_code == 403
    assert mia_console.post("/console/applications/shop/rotate").status_code == 403
    assert Client.objects.get().secret_hash == ""


def test_words_are_words_and_never_markup(console):
    nasty = "<script>alert(1)</script>"
    console.post("/console/applications/new", {**SHOP, "name": nasty})

    assert nasty not in console.get("/console/applications").content.decode()


def test_many_apps_cost_as_many_queries_as_one(console, django_assert_max_num_queries):
    for number in range(15):
        Client.objects.create(client_id=f"app-{number}", name=f"App {number}")

    with django_assert_max_num_queries(6):
        console.get("/console/applications")


def test_an_unknown_application_is_not_found(console):
    assert console.get("/console/applications/nothing").status_code == 404
    assert console.post("/console/applications/nothing/rotate").status_code == 404


@pytest.mark.parametrize("switch", ["embeds_login", "signs_out_by_hint", "token_in_query"])
def test_switches_of_an_app_are_off_and_kept_as_they_are_set(console, switch):
    console.post("/console/applications/new", SHOP)
    client = Client.objects.get()
    address = f"/console/applications/{client.pk}"

    assert getattr(client, switch) is False
    assert f'name="{switch}" checked' not in console.get(address).content.decode()

    console.post(address, {**SHOP, switch: "on"})
    client.refresh_from_db()

    assert getattr(client, switch) is True
    assert f'name="{switch}" checked' in console.get(address).content.decode()


def test_a_public_app_may_not_sign_out_by_hint(console):
    answer = console.post("/console/applications/new", {**SHOP, "auth_method": "none", "signs_out_by_hint": "on"})

    assert answer.status_code == 400
    assert "Only an app with a secret or a key may sign out by hint" in answer.content.decode()
    assert not Client.objects.exists()


def test_purpose_of_a_machine_is_set_on_its_page_and_bad_ones_are_refused(console, standard_setup):
    client = Client.objects.create(client_id="bot", name="Bot", grant_types=["client_credentials"], secret_hash="x")
    address, machine = f"/console/applications/{client.pk}", {**SHOP, "grant_types": ["client_credentials"]}
    assert 'name="reads_for"' not in console.get(address).content.decode()
    api = ResourceServer.objects.create(identifier=management_audience(), name="Management", scopes=["read:users"])
    grant = ClientGrant.objects.create(client=client, resource_server=api, scopes=["read:users"])

    assert '<option value="serve" selected>' in console.get(address).content.decode()
    assert console.post(address, {**machine, "reads_for": "message"}).status_code == 302
    grant.refresh_from_db()
    assert grant.purpose == "message"
    assert '<option value="message" selected>' in console.get(address).content.decode()
    assert console.post(address, {**machine, "name": "Moved", "reads_for": "measure"}).status_code == 400
    grant.refresh_from_db()
    assert (grant.purpose, Client.objects.get().name) == ("message", SHOP["name"])
    console.post(address, machine)  # a form without the field leaves it
    grant.refresh_from_db()
    assert grant.purpose == "message"
