"""One browser with two sessions: Bruno's console session and a customer session."""

from __future__ import annotations

import pytest

from regulars.accounts.models import Account

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def bruno(client, standard_setup, lake):
    Account.objects.create_staff("bruno@example.com", "a long enough password")
    client.post("/console/login", {"email": "bruno@example.com", "password": "a long enough password"})
    return client


def test_staff_are_signed_in_to_the_console_and_nowhere_else(bruno):
    assert bruno.get("/console/").status_code == 200
    assert "regulars_session" not in bruno.cookies
    assert bruno.cookies["regulars_staff"]["path"] == "/console"
    assert bruno.cookies["regulars_staff"]["httponly"]


def test_customer_session_opens_no_console(client):
    client.force_login(Account.objects.create_staff("ana@example.com", "a long enough password"), BACKEND)
    answer = client.get("/console/")

    assert answer.status_code == 302
    assert answer.url.startswith("/console/login")


def test_signing_out_of_the_console_leaves_the_customer_signed_in(bruno):
    bruno.force_login(Account.objects.create_user("chika@example.com", "a long enough password"), BACKEND)
    customer = bruno.cookies["regulars_session"].value
    bruno.post("/console/logout")

    assert bruno.cookies["regulars_session"].value == customer
    assert bruno.get("/console/").status_code == 302
