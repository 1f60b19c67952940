"""`regulars staff`: manage the staff of the console."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from tests.login.device import code_of

from regulars.accounts.factors import authenticator_codes
from regulars.accounts.models import Account
from regulars.cli.__main__ import main

pytestmark = pytest.mark.django_db


def run(*words: str):
    return CliRunner().invoke(main, ["staff", *words])


def test_bruno_is_added_listed_and_signs_in_with_the_printed_password():
    added = run("add", "Bruno@shop.example", "--role", "marketer")
    password = added.output.strip().rpartition(" ")[2]
    bruno = Account.objects.get(email="bruno@shop.example")

    assert added.exit_code == 0
    assert bruno.check_password(password)
    assert (bruno.is_staff, bruno.role) == (True, "marketer")
    assert run("list").output == "bruno@shop.example  marketer  no second factor yet\n"


def test_second_factor_of_a_lost_phone_is_removed():
    bruno = Account.objects.create_staff("bruno@shop.example", "a long password")
    secret = authenticator_codes.new_secret()
    authenticator_codes.add_app(bruno, secret, code_of(secret))

    assert run("list").output == "bruno@shop.example  admin  second factor\n"
    assert run("reset-second-factor", "BRUNO@shop.example").exit_code == 0
    assert not authenticator_codes.is_enrolled(bruno)
    assert run("list").output == "bruno@shop.example  admin  no second factor yet\n"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("add", "not-an-address"), "bad_email"),
        (("add", "eva@shop.example", "--role", "king"), "unknown_role"),
        (("add", "ana@shop.example"), "already_staff"),
        (("reset-second-factor", "eva@shop.example"), "not_staff"),
    ],
)
def test_invalid_command_fails_with_a_code(words, name):
    Account.objects.create_staff("ana@shop.example", "a long password")
    Account.objects.create_user("eva@shop.example", "a long password")
    done = run(*words)

    assert done.exit_code == 1
    assert f"({name})" in done.output
