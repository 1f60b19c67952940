"""One e-mail address is one account's, by whichever road two at once would take it: the database refuses the second."""

from __future__ import annotations

import itertools
import json

import pytest
from tests.races.conftest import CONNECTION, PASSWORD, Customer, Pair

pytestmark = pytest.mark.server
addresses = (f"race-{number}@example.com" for number in itertools.count())
# Sign-ups that wait for a click: the links of their mails.
SIGN_UPS = """
import django, json, sys
django.setup()
from django.core import signing
from regulars.accounts.rate_limits import Attempt
from regulars.usecases.account_mails import SALT
from regulars.usecases.password_login import begin_signup
emails = sys.argv[2:]
attempts = [Attempt("signup", each, f"192.0.2.{number}") for number, each in enumerate(emails)]
begun = [begin_signup(each, each.subject, sys.argv[1], "") for each in attempts]
print(json.dumps([signing.dumps(each.pk, salt=SALT) for each in begun]))
"""


def creation(pair: Pair, email: str):
    return pair.api("POST", "/api/v2/users", {"connection": CONNECTION, "email": email, "password": PASSWORD})


def assert_one_account(pair: Pair, email: str, answers) -> None:
    assert all(each.status_code < 500 for each in answers), (pair.live.home / "log").read_text()[-4000:]
    assert len(pair.live.rows("SELECT id FROM accounts_account WHERE lower(email) = lower(?)", email)) == 1
    document = f'%"email": "{email}"%'
    found = pair.live.rows("SELECT id FROM profiles_profile WHERE CAST(document AS text) LIKE ?", document)
    assert len(found) == 1


def test_users_created_at_once_with_one_address_are_one_account(pair, rounds):
    for late in rounds:
        email = next(addresses)
        answers = pair.at_once(*[creation(pair, each) for each in (email, email.title(), email, email)], late=late)
        assert_one_account(pair, email, answers)
        assert sorted(each.status_code for each in answers) == [201, 409, 409, 409]


def test_address_given_to_two_users_at_once_is_one_users(pair, rounds):
    for late in rounds:
        email, (first, second) = next(addresses), pair.customers(2)
        answers = pair.at_once(*[pair.api("PATCH", who.path, {"email": email}) for who in (first, second)], late=late)
        assert_one_account(pair, email, answers)
        assert sorted(each.status_code for each in answers) == [200, 409]


def test_address_given_beside_a_creation_is_one_accounts(pair, rounds):
    for late in rounds:
        email, (first,) = next(addresses), pair.customers(1)
        answers = pair.at_once(creation(pair, email), pair.api("PATCH", first.path, {"email": email}), late=late)
        assert_one_account(pair, email, answers)
        assert sorted(200 if each.status_code == 201 else each.status_code for each in answers) == [200, 409]


def test_sign_up_beside_a_creation_makes_one_account(pair, rounds):
    emails = [next(addresses) for _ in rounds]
    links = json.loads(pair.python(SIGN_UPS, PASSWORD, *emails))
    visitor = Customer("", "")
    for late, email, link in zip(rounds, emails, links, strict=True):
        click = pair.page(visitor, f"/signup/finish?token={link}", {"password": PASSWORD})
        signed_up, made = answers = pair.at_once(click, creation(pair, email), late=late)
        assert_one_account(pair, email, answers)
        assert (made.status_code == 201) != (signed_up.status_code in (302, 303)), (made.text, signed_up.text)
