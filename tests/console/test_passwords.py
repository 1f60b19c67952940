"""The password policy of a connection, set in the console and applied at the sign-up."""

from __future__ import annotations

import pytest
from django.test import Client

from regulars.connections.models import Connection

pytestmark = pytest.mark.django_db
HERE = "/console/connections/Username-Password-Authentication/passwords"
FORM = {"min_length": "14", "common": "on", "personal": "on", "breached": "on", "history": "3"}


@pytest.fixture(autouse=True)
def database(standard_setup):
    return Connection.objects.create(
        name="Username-Password-Authentication", strategy="auth0", display_name="E-mail and password"
    )


def test_ana_asks_for_longer_passwords_and_the_sign_up_does(console):
    assert HERE in console.get(HERE.removesuffix("/passwords")).content.decode()
    assert console.post(HERE, FORM)["Location"] == HERE
    assert 'value="14"' in console.get(HERE).content.decode()
    page = Client().post("/signup", {"email": "eva@example.com", "password": "13 characters"})

    assert page.status_code == 422
    assert "at least 14 characters" in page.content.decode()
    assert "At least 14 characters" in Client().get("/signup").content.decode()


@pytest.mark.parametrize(
    ("field", "value"), [("min_length", "3"), ("min_length", "x"), ("history", "99"), ("history", "")]
)
def test_an_error_is_shown_beside_its_field(console, field, value):
    answer = console.post(HERE, {**FORM, field: value})

    assert answer.status_code == 400
    assert f'href="#in-{field.replace("_", "-")}"' in answer.content.decode()


def test_mia_may_look_and_not_write(mia_console):
    assert mia_console.get(HERE).status_code == 200
    assert mia_console.post(HERE, FORM).status_code == 403


def test_a_connection_without_passwords_has_no_such_page(console):
    assert console.get("/console/connections/google-oauth2/passwords").status_code == 404
