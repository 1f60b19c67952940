"""A new installation leads its owner from nothing to the first customer, and then to the first segment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from regulars.base.jobs.run_jobs import run_due
from regulars.clients.models import Client
from regulars.connections.models import Connection
from regulars.connections.save import ensure_own_connections, switch_connection
from regulars.profiles.models import Profile

PASSWORDS = "Username-Password-Authentication"


@pytest.fixture
def new_installation(console, settings, tmp_path) -> Path:
    """An installation after its set-up; returns the folder that its mails go to."""
    ensure_own_connections(mail_codes=False)
    Client.objects.create(client_id="management", name="Management", grant_types=["client_credentials"])
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    return tmp_path / "mail"


def steps(console) -> dict[str, str]:
    """Return address → sentence of what the first page says to do next."""
    page = console.get("/console/").content.decode()
    listed = re.search(r'id="next".*?</section>', page, re.S)
    return dict(re.findall(r'<li><a href="([^"]+)">([^<]+)</a>', listed[0])) if listed else {}


def test_every_first_step_opens_a_page_that_can_be_used(client, console, new_installation):
    found = steps(console)

    assert list(found) == [
        "/signup",
        "/console/applications/new",
        "/console/sources",
        "/console/questions/new",
        "/console/segments/new",
    ]
    assert {address: console.get(address).status_code for address in found} == dict.fromkeys(found, 200)
    assert "No way to sign in is open" not in client.get("/login").content.decode()


def test_first_step_followed_makes_the_first_customer(client, console, new_installation):
    page = console.get("/console/").content.decode()
    assert str(new_installation) in page

    client.post("/signup", {"email": "ana@shop.example", "password": "a few words in a row"})
    run_due()
    (written,) = new_installation.glob("*.log")
    link = re.search(r"http\S+(/signup/finish\S+)", written.read_text())[1]
    client.post(link)

    assert Profile.objects.get().account.email == "ana@shop.example"
    assert "/signup" not in steps(console)
    assert "/console/sources" in steps(console)  # the sign-up itself is no event of the shop


def test_step_names_no_folder_once_a_mail_server_is_set(console, new_installation, settings):
    settings.EMAIL_BACKEND = "regulars.base.mail_server.SmtpBackend"

    assert str(new_installation) not in console.get("/console/").content.decode()


def test_without_any_login_method_the_first_step_is_to_switch_one_on(console, new_installation):
    switch_connection(PASSWORDS, False)

    assert next(iter(steps(console))) == "/console/connections"
    assert "/signup" not in steps(console)
    assert "/login" not in steps(console)


def test_social_login_alone_leads_to_the_sign_in_page(console, new_installation):
    switch_connection(PASSWORDS, False)
    Connection.objects.create(name="google-oauth2", strategy="google-oauth2", display_name="Google")

    assert next(iter(steps(console))) == "/login"


def test_set_up_again_switches_nothing_on_that_was_switched_off(new_installation):
    switch_connection(PASSWORDS, False)

    ensure_own_connections(mail_codes=False)

    assert not Connection.objects.filter(enabled=True).exists()


def test_app_of_ones_own_ends_its_step(console, new_installation):
    Client.objects.create(client_id="shop", name="Shop", grant_types=["authorization_code"])

    assert "/console/applications/new" not in steps(console)
