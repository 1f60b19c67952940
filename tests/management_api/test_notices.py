"""Notices of what is changed by the Management API, at the address from before, unless the caller has notified."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core import mail

from regulars.accounts.models import Account
from regulars.base.jobs.run_jobs import run_due
from regulars.events.models import Event
from regulars.profiles.models import Profile
from regulars.usecases.password_login import find_by_password
from regulars.usecases.users import link

from .conftest import make_token

BEFORE, AFTER = "dina@example.com", "dina@new.example"
PASSWORD, NEW_PASSWORD = "a few words in a row", "other words in a row"
CHANGED = {"password": "Your password was changed", "email": "The address of your account was changed"}


@pytest.fixture
def dina(api_client, passwords) -> Profile:
    body = {"connection": passwords.name, "email": BEFORE, "password": PASSWORD, "email_verified": True}
    assert api_client.call("POST", "/v2/users", body).status_code == 201
    return Profile.objects.get(account__email=BEFORE)


def patch(client: Any, profile: Profile, body: dict[str, Any], notified: str | None = None) -> Any:
    headers = {"Authorization": f"Bearer {make_token()}"}
    if notified is not None:
        headers["Regulars-Customer-Notified"] = notified
    path = f"/api/v2/users/{profile.user_id.replace('|', '%7C')}"
    return client.patch(path, json.dumps(body), content_type="application/json", headers=headers)


def sent() -> list[tuple[list[str], str]]:
    run_due()
    return [(each.to, each.subject) for each in mail.outbox]


def recorded() -> list[dict[str, str]]:
    return list(
        Event.objects.filter(name="Account Credential Changed").order_by("pk").values_list("properties", flat=True)
    )


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"password": NEW_PASSWORD}, ["password"]),
        ({"email": AFTER}, ["email"]),
        ({"email": AFTER, "email_verified": True}, ["email"]),
        ({"email": AFTER, "password": NEW_PASSWORD}, ["email", "password"]),
    ],
)
def test_customer_is_notified_at_the_address_from_before(api_client, dina, body, what):
    assert patch(api_client.client, dina, body).status_code == 200

    assert sent() == [([BEFORE], CHANGED[each]) for each in what]
    assert recorded() == [{"credential": each, "by": "app:bot", "notified_by": ""} for each in what]


@pytest.mark.parametrize("body", [{"name": "Dina"}, {"email": BEFORE.upper()}, {"user_metadata": {"a": 1}}])
def test_other_changes_send_nothing(api_client, dina, body):
    assert patch(api_client.client, dina, body).status_code == 200

    assert (sent(), recorded()) == ([], [])


def test_caller_that_notifies_the_customer_itself_is_recorded(api_client, dina):
    body = {"email": AFTER, "password": NEW_PASSWORD}
    assert patch(api_client.client, dina, body, "true").status_code == 200

    assert sent() == []
    assert [each["notified_by"] for each in recorded()] == ["app:bot", "app:bot"]


def test_unknown_value_of_the_header_changes_nothing(api_client, dina):
    answer = patch(api_client.client, dina, {"password": NEW_PASSWORD}, "yes")

    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_headers")
    assert dina.account.check_password(PASSWORD)
    assert patch(api_client.client, dina, {"password": NEW_PASSWORD}, "false").status_code == 200
    assert sent() == [([BEFORE], CHANGED["password"])]


def test_link_and_unlink_notify_both_customers(api_client, dina, passwords):
    body = {"connection": passwords.name, "email": "other@example.com", "password": PASSWORD, "email_verified": True}
    api_client.call("POST", "/v2/users", body)
    other = Profile.objects.get(account__email="other@example.com")
    path = f"/v2/users/{dina.user_id.replace('|', '%7C')}/identities"
    key = other.user_id.partition("|")[2]
    assert api_client.call("POST", path, {"provider": "auth0", "user_id": key}).status_code == 201
    assert api_client.call("DELETE", f"{path}/auth0/{key}").status_code == 200

    both = [BEFORE, "other@example.com"]
    subjects = ["Two accounts were joined"] * 2 + ["A login method was removed"] * 2
    assert sorted(sent()) == sorted(([to], subject) for to, subject in zip(both * 2, subjects, strict=True))


@pytest.fixture
def linked(api_client, dina, chika) -> Profile:
    """A customer of a network, to whom Dina's account with a password was linked."""
    chika.account = Account.objects.create_user()
    chika.save()
    link(chika, dina, "customer")
    run_due()
    mail.outbox.clear()
    return chika


def test_password_and_address_of_a_linked_customer_are_those_that_sign_in(api_client, dina, linked):
    """Otherwise the password that staff replace would go on opening the account."""
    assert patch(api_client.client, linked, {"email": AFTER, "password": NEW_PASSWORD}).status_code == 200

    assert find_by_password(BEFORE, PASSWORD) is find_by_password(BEFORE, NEW_PASSWORD) is None
    assert find_by_password(AFTER, PASSWORD) is None
    assert find_by_password(AFTER, NEW_PASSWORD) == dina.account
    assert sent() == [([BEFORE], CHANGED[each]) for each in ("email", "password")]


def test_password_of_a_customer_without_one_is_refused(api_client, chika):
    chika.account = Account.objects.create_user()
    chika.save()
    answer = patch(api_client.client, chika, {"password": NEW_PASSWORD})

    assert (answer.status_code, answer.json()["errorCode"]) == (400, "operation_not_supported")


def test_first_address_of_an_account_sends_nothing_to_itself(api_client, chika):
    """There is no address from before; the new one is not the place for a notice of its own arrival."""
    chika.account = Account.objects.create_user()
    chika.save()
    assert patch(api_client.client, chika, {"email": AFTER}).status_code == 200

    assert sent() == []
