"""No answer shows whether an address has an account: body, queries and number of password hashes are the same."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from regulars.accounts.factors import authenticator_codes
from regulars.accounts.models import Account
from regulars.accounts.passwords import PasswordHasher
from regulars.connections.models import Connection

from .conftest import PASSWORD
from .device import code_of

WRONG = {"password": "wrong wrong wrong"}
NEW = {"password": "another row of words"}
# Every path that takes an address: the path, the other fields of its form, the number of passwords it hashes.
PATHS = {
    "login": ("/login", WRONG, 1),
    "signup": ("/signup", NEW, 1),
    "reset": ("/password/reset", {}, 0),
    "code": ("/code", {}, 0),
}
KNOWN = ("dina", "blocked", "staff", "social", "two factors")


@pytest.fixture
def addresses(dina, standard_setup, settings):
    """Create one account of each kind; return name → address."""
    settings.DEMO = False  # in the demonstration each page carries a link of its own
    Connection.objects.update_or_create(name="email", defaults={"strategy": "email", "display_name": "By mail"})
    with_app = Account.objects.create_user("eva@example.com", PASSWORD)
    dina.profile.identities.model.objects.create(
        profile=type(dina.profile).objects.create(user_id="auth0|eva", account=with_app),
        provider="auth0",
        provider_user_id="eva",
    )
    secret = authenticator_codes.new_secret()
    authenticator_codes.add_app(with_app, secret, code_of(secret))
    Account.objects.create_staff("bruno@example.com", PASSWORD)
    Account.objects.create_user("chika@example.com", None)
    blocked = Account.objects.create_user("fay@example.com", PASSWORD, is_active=False)
    dina.profile.identities.model.objects.create(
        profile=type(dina.profile).objects.create(user_id="auth0|fay", account=blocked),
        provider="auth0",
        provider_user_id="fay",
    )
    return {
        "dina": dina.email,
        "blocked": blocked.email,
        "staff": "bruno@example.com",
        "social": "chika@example.com",
        "two factors": with_app.email,
    }


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("who", KNOWN)
def test_known_address_gets_the_answer_and_hashes_of_an_unknown_one(addresses, hashed, path, who):
    where, more, hashes = PATHS[path]
    known, known_work = ask(where, addresses[who], more, hashed)
    unknown, unknown_work = ask(where, "nobody@example.com", more, hashed)

    assert known == unknown
    assert len(known_work) == len(unknown_work) == hashes


@pytest.mark.parametrize("path", ["signup", "reset", "code"])
def test_queries_are_the_same_for_a_known_and_an_unknown_address(addresses, hashed, path):
    where, more, _ = PATHS[path]
    works = []
    for email in (addresses["dina"], "nobody@example.com"):
        ask(where, email, more, hashed)  # the first of a window tidies the table of attempts
        with CaptureQueriesContext(connection) as queries:
            ask(where, email, more, hashed)
        works.append([query["sql"].split()[0] for query in queries.captured_queries])

    assert works[0] == works[1]


def test_passkey_challenge_is_the_same_for_every_browser(addresses):
    asked = [Client().post("/passkey/options").json() for _ in range(2)]

    assert {**asked[0], "challenge": ""} == {**asked[1], "challenge": ""}
    assert not asked[0].get("allowCredentials")


def test_second_factor_is_shown_only_after_the_right_password(addresses):
    wrong = Client().post("/login", {"email": addresses["two factors"], **WRONG})
    right = Client().post("/login", {"email": addresses["two factors"], "password": PASSWORD})

    assert wrong.status_code == 401
    assert right["Location"] == "/second-factor"


def test_password_hash_has_the_configured_cost(a_real_hash):
    made = PasswordHasher().encode(PASSWORD, "salt" * 6)

    assert made.startswith("argon2$argon2id$v=19$m=65536,t=3,p=4$")


def test_hash_of_another_cost_is_renewed_at_sign_in(dina, client, a_real_hash):
    from django.contrib.auth.hashers import Argon2PasswordHasher

    Account.objects.filter(pk=dina.pk).update(password=Argon2PasswordHasher().encode(PASSWORD, "salt" * 6))
    client.post("/login", {"email": dina.email, "password": PASSWORD})

    assert "m=65536,t=3,p=4" in Account.objects.get(pk=dina.pk).password


def ask(where: str, email: str, more: dict[str, str], hashed: list[str]) -> tuple[tuple[int, str, str], list[str]]:
    """Return status, redirect and page without the submitted address and tokens; and the hashes computed."""
    before = len(hashed)
    answer = Client().post(where, {"email": email, **more})
    page = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.content.decode())
    there = re.sub(r"code=[^&]+", "", answer.headers.get("Location", ""))
    return (answer.status_code, there, page.replace(email, "EMAIL")), hashed[before:]
