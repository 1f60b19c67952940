"""`regulars staff`: manage the staff of the console."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from tests.login.device import code_of
from tests.sessions import open_session

from regulars.accounts.factors import authenticator_codes
from regulars.accounts.models import Account
from regulars.cli.__main__ import main
from regulars.interfaces.console.models import AuditEntry

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


def test_role_is_changed_and_a_member_removed_with_their_sessions(client):
    Account.objects.create_staff("ana@shop.example", "a long password")
    bruno = Account.objects.create_staff("bruno@shop.example", "a long password", "viewer")
    AuditEntry.objects.create(account=bruno, what="rule.saved", subject="greet", details={})
    client.cookies["regulars_session"] = open_session(bruno)

    assert run("role", "BRUNO@shop.example", "marketer").exit_code == 0
    bruno.refresh_from_db()
    assert bruno.role == "marketer"
    assert run("remove", "bruno@shop.example").exit_code == 0

    assert not Account.objects.filter(pk=bruno.pk).exists()
    assert client.get("/console/").status_code == 302
    assert [each["who"] for each in map(json.loads, run("log").output.splitlines())] == [""]


@pytest.mark.parametrize("words", [("remove", "ana@shop.example"), ("role", "ana@shop.example", "viewer")])
def test_last_admin_stays(words):
    Account.objects.create_staff("ana@shop.example", "a long password")
    Account.objects.create_staff("bruno@shop.example", "a long password", "viewer")
    closed = Account.objects.create_staff("closed@shop.example", "a long password")
    Account.objects.filter(pk=closed.pk).update(is_active=False)

    refused = run(*words)

    assert refused.exit_code != 0
    assert "last_admin" in refused.output
    assert Account.objects.get(email="ana@shop.example").role == "admin"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("remove", "dov@shop.example"), "not_staff"),
        (("role", "dov@shop.example", "admin"), "not_staff"),
        (("role", "dov@shop.example", "owner"), "unknown_role"),
    ],
)
def test_customer_or_unknown_role_is_refused(words, code):
    Account.objects.create_user(email="dov@shop.example")

    assert code in run(*words).output
    assert Account.objects.filter(email="dov@shop.example").exists()


def test_log_has_what_staff_did_the_newest_first():
    ana = Account.objects.create_staff("ana@shop.example", "a long password")
    for what, subject in (("segment.exported", "women"), ("segments.other", ""), ("rule.saved", "greet")):
        AuditEntry.objects.create(account=ana, what=what, subject=subject, details={"name": "Zoë"})

    every = [json.loads(line) for line in run("log").output.splitlines()]
    assert [each["what"] for each in every] == ["rule.saved", "segments.other", "segment.exported"]
    assert [json.loads(line)["what"] for line in run("log", "--limit", "1").output.splitlines()] == ["rule.saved"]
    [export] = [json.loads(line) for line in run("log", "--what", "segment").output.splitlines()]
    assert (export["who"], export["subject"], export["details"]) == ("ana@shop.example", "women", {"name": "Zoë"})


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
