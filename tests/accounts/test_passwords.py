"""Password policy and the list of breached passwords."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regulars.accounts.breached import is_listed
from regulars.accounts.models import Account, PreviousPassword
from regulars.accounts.passwords import Rules, problems_with, save_rules, set_password
from regulars.base.errors import DomainError
from regulars.connections.models import Connection

DATABASE = "Username-Password-Authentication"


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode()).hexdigest().upper()


def write(path, passwords, end="\r\n", count=":7"):
    hashes = sorted(sha1(each) for each in passwords)
    assert all(one < other for one, other in pairwise(hashes))
    path.write_bytes("".join(f"{each}{count}{end}" for each in hashes).encode())
    return path


@given(st.sets(st.text(max_size=20), max_size=60), st.text(max_size=20), st.sampled_from(["\r\n", "\n"]))
@settings(max_examples=60, deadline=None)
def test_only_listed_passwords_are_found(tmp_path_factory, passwords, other, end):
    path = write(tmp_path_factory.getbasetemp() / "list", passwords, end, ":12" if end == "\r\n" else "")

    assert all(is_listed(each, path) for each in passwords)
    assert is_listed(other, path) == (other in passwords)


@pytest.mark.parametrize("text", [b"", b"\n", b"nothing of the kind\n", b"\xff" * 100])
def test_file_that_is_no_list_contains_no_password(tmp_path, text):
    path = tmp_path / "list"
    path.write_bytes(text)

    assert not is_listed("password", path)


@pytest.fixture
def database(standard_setup) -> Connection:
    return Connection.objects.create(name=DATABASE, strategy="auth0", display_name="E-mail and password")


@pytest.fixture
def dina(make_customer) -> Account:
    profile = make_customer(given_name="Dina", family_name="Okonkwo")
    profile.account = Account.objects.create_user("dina@example.com", "a few words in a row")
    profile.save()
    return profile.account


def wrong(account: Account, password: str, **rules) -> str:
    save_rules(Connection.objects.get(), Rules(**rules))
    return " ".join(problems_with(password, account, DATABASE))


def test_each_rule_applies_and_can_be_disabled(database, dina, settings, tmp_path):
    settings.BREACHED_PASSWORDS = str(write(tmp_path / "list", ["correct horse battery"]))

    assert "at least 20 characters" in wrong(dina, "a row of words", min_length=20)
    assert wrong(dina, "a row of words") == ""
    assert "too common" in wrong(dina, "password123")
    assert wrong(dina, "password123", common=False) == ""
    assert "holds your name" in wrong(dina, "okonkwo of lagos")
    assert "too similar" in wrong(dina, "dina@example")
    assert wrong(dina, "okonkwo of lagos", personal=False) == ""
    assert "data breach" in wrong(dina, "correct horse battery")
    assert wrong(dina, "correct horse battery", breached=False) == ""


def test_former_password_is_refused_within_the_history_of_the_policy(database, dina):
    first, second, third = "a few words in a row", "another row of words", "a third row of words"
    save_rules(database, Rules(history=2))
    set_password(dina, second, DATABASE)

    assert "had this password before" in wrong(dina, first, history=2)
    assert "had this password before" in wrong(dina, second, history=2)

    set_password(dina, third, DATABASE)

    assert wrong(dina, first, history=2) == ""
    assert PreviousPassword.objects.count() == 2
    assert not PreviousPassword.objects.filter(password__contains=first).exists()

    save_rules(database, Rules())
    set_password(dina, first, DATABASE)

    assert not PreviousPassword.objects.exists()


def test_unreadable_list_is_logged_and_refuses_no_password(database, dina, settings, caplog):
    settings.BREACHED_PASSWORDS = "/nowhere/list"

    assert wrong(dina, "a row of words") == ""
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("password", ["a\x00" * 9, "a" * 1001])
def test_unhashable_password_is_refused_at_once(database, dina, password):
    assert wrong(dina, password) == "This one cannot be used. Choose another."


@pytest.mark.parametrize(
    ("rules", "name"),
    [({"min_length": 7}, "bad_length"), ({"min_length": 65}, "bad_length"), ({"history": 11}, "bad_history")],
)
def test_policy_out_of_bounds_is_refused(database, rules, name):
    with pytest.raises(DomainError) as no:
        save_rules(database, Rules(**rules))

    assert no.value.code == name
