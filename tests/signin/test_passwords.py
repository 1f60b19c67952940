"""Signing up, in and out with an address and a password."""

from __future__ import annotations

import pytest

from regulars.doors.signin.models import PendingSignup
from regulars.events.models import Event
from regulars.profiles.models import Account, Profile

from .conftest import PASSWORD

WRONG = "E-mail or password is not right."


def sign_in(client, email="dina@example.com", password=PASSWORD, query=""):
    return client.post(f"/login{query}", {"email": email, "password": password})


def signed_in_as(client) -> str:
    return client.session.get("_auth_user_id", "")


def test_the_link_in_the_mail_makes_the_account_signs_her_in_and_goes_on(passwords, client, last_link):
    answer = client.post("/signup?next=/authorize%3Fa%3Db", {"email": "Dina@Example.com", "password": PASSWORD})

    assert answer.status_code == 200
    assert "Look into your mail" in answer.content.decode()
    assert not Account.objects.exists()

    link = last_link()
    assert client.get(link).status_code == 200
    assert not Account.objects.exists()  # a scanner that opens links makes nothing
    done = client.post(link)

    profile = Profile.objects.get()
    assert (done.status_code, done["Location"]) == (302, "/authorize?a=b")
    assert signed_in_as(client) == str(profile.account.pk)
    assert profile.user_id.startswith("auth0|")
    assert (profile.document["email"], profile.document["email_verified"]) == ("dina@example.com", True)
    assert profile.facts.get(attribute="email").source == "app:signin"
    assert Event.objects.get(name="Signed Up").properties == {"connection": "Username-Password-Authentication"}
    assert not PendingSignup.objects.exists()
    assert client.post(link).status_code == 410


def test_she_signs_in_with_her_password_and_tokens_will_know_how(dina, client):
    answer = sign_in(client, "DINA@example.com", query="?next=/authorize")

    record = client.session["account_authentication_methods"][-1]
    assert (answer.status_code, answer["Location"]) == (302, "/authorize")
    assert (record["method"], record["connection"]) == ("password", "Username-Password-Authentication")
    assert signed_in_as(client) == str(dina.pk)


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
def test_she_is_never_sent_off_site(dina, client, elsewhere):
    assert client.post(f"/login?next={elsewhere}", {"email": dina.email, "password": PASSWORD})["Location"] == "/"


def test_staff_are_no_customers(passwords, client):
    Account.objects.create_staff("bruno@example.com", PASSWORD)

    answer = sign_in(client, "bruno@example.com")

    assert answer.status_code == 401
    assert WRONG in answer.content.decode()
    assert not signed_in_as(client)
