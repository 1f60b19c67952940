"""Whatever somebody asks about an address, the answer, the work and the time say nothing of who has an account here."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from regulars.accounts.factors import codes
from regulars.accounts.hashing import PasswordHasher
from regulars.accounts.models import Account
from regulars.connections.models import Connection

from .conftest import PASSWORD
from .device import code_of

WRONG = {"password": "wrong wrong wrong"}
NEW = {"password": "another row of words"}
# Every path that takes an address: where, what is sent with it, how many passwords it hashes.
PATHS = {
    "login": ("/login", WRONG, 1),
    "signup": ("/signup", NEW, 1),
    "reset": ("/password/reset", {}, 0),
    "code": ("/code", {}, 0),
}
KNOWN = ("dina", "blocked", "staff", "social", "two factors")


@pytest.fixture
def everybody(dina, standard_setup, settings):
    """One of each kind that there is; name → address."""
    settings.DEMO = False  # in the demonstration each page carries a link of its own
    Connection.objects.update_or_create(name="email", defaults={"strategy": "email", "display_name": "By mail"})
    with_app = Account.objects.create_user("eva@example.com", PASSWORD)
    dina.profile.identities.model.objects.create(
        profile=type(dina.profile).objects.create(user_id="auth0|eva", account=with_app),
        provider="auth0",
        provider_user_id="eva",
    )
    secret = codes.new_secret()
    codes.add_app(with_app, secret, code_of(secret))
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


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """Every password hash that is computed from now on."""
    work: list[str] = []
    for name in ("encode", "verify"):
        real = getattr(PasswordHasher, name)
        monkeypatch.setattr(PasswordHasher, name, lambda *a, real=real, name=name: work.append(name) or real(*a))
    return work


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("who", KNOWN)
def test_a_known_address_looks_costs_and_asks_like_an_unknown_one(everybody, hashed, path, who):
    where, more, hashes = PATHS[path]
    known, known_work = ask(where, everybody[who], more, hashed)
    stranger, strange_work = ask(where, "nobody@example.com", more, hashed)

    assert known == stranger
    assert len(known_work) == len(strange_work) == hashes


@pytest.mark.parametrize("path", ["signup", "reset", "code"])
def test_the_database_is_asked_the_same_whoever_it_is(everybody, hashed, path):
    where, more, _ = PATHS[path]
    works = []
    for email in (everybody["dina"], "nobody@example.com"):
        ask(where, email, more, hashed)  # the first of a window tidies the table of attempts
        with CaptureQueriesContext(connection) as queries:
            ask(where, email, more, hashed)
        works.append([query["sql"].split()[0] for query in queries.captured_queries])

    assert works[0] == works[1]


def test_what_a_passkey_must_sign_is_the_same_for_everybody(everybody):
    asked = [Client().post("/passkey/options").json() for _ in range(2)]

    assert {**asked[0], "challenge": ""} == {**asked[1], "challenge": ""}
    assert not asked[0].get("allowCredentials")


def test_only_who_knows_the_password_learns_of_a_second_factor(everybody):
    wrong = Client().post("/login", {"email": everybody["two factors"], **WRONG})
    right = Client().post("/login", {"email": everybody["two factors"], "password": PASSWORD})

    assert wrong.status_code == 401
    assert right["Location"] == "/second-factor"


def test_the_hash_costs_what_the_house_says(a_real_hash):
    made = PasswordHasher().encode(PASSWORD, "salt" * 6)

    assert made.startswith("argon2$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_hash_of_another_cost_is_renewed_when_she_signs_in(dina, client, a_real_hash):
    from django.contrib.auth.hashers import Argon2PasswordHasher

    Account.objects.filter(pk=dina.pk).update(password=Argon2PasswordHasher().encode(PASSWORD, "salt" * 6))
    client.post("/login", {"email": dina.email, "password": PASSWORD})

    assert "m=65536,t=3,p=4" in Account.objects.get(pk=dina.pk).password


def ask(where: str, email: str, more: dict[str, str], hashed: list[str]) -> tuple[tuple[int, str, str], list[str]]:
    """Status, address and page of the answer without what the browser itself wrote; and the hashes it took."""
    before = len(hashed)
    answer = Client().post(where, {"email": email, **more})
    page = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.content.decode())
    there = re.sub(r"code=[^&]+", "", answer.headers.get("Location", ""))
    return (answer.status_code, there, page.replace(email, "EMAIL")), hashed[before:]
