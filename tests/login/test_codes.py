"""Sign-in with a code or a link by mail."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core import mail
from django.db import connection as database
from django.test import Client as Browser
from django.utils import timezone

from regulars.accounts.models import Account
from regulars.accounts.proofs import mailed_codes
from regulars.accounts.proofs.models import EmailCode
from regulars.accounts.rate_limits import Attempt
from regulars.base.jobs.run_jobs import run_due
from regulars.connections.models import Connection
from regulars.profiles.models import Profile
from regulars.usecases.passwordless import passwordless_login

from .conftest import PASSWORD


@pytest.fixture
def by_mail(standard_setup) -> Connection:
    return Connection.objects.create(name="email", strategy="email", display_name="E-mail code")


def ask(browser: Browser, email: str = "dina@example.com") -> tuple[str, str, str]:
    """Ask for a code. Return the address of the page for it, its digits, and the path of the link in the mail."""
    answer = browser.post("/code?next=/authorize", {"email": email})
    assert answer.status_code == 302, answer.content
    run_due()
    body = mail.outbox[-1].body
    return (
        answer["Location"],
        re.search(r"^(\d{6})$", body, re.M)[1],
        re.search(r"https?://[^/\s]+(/code/\S+)", body)[1],
    )


def signed_in_as(browser: Browser) -> str:
    return browser.session.get("_auth_user_id", "")


def test_digits_sign_in_once_and_the_session_records_the_method(by_mail, client):
    page, digits, _ = ask(client)
    done = client.post(page, {"digits": digits})
    profile = Profile.objects.get()
    record = client.session["account_authentication_methods"][-1]
    again = Browser().post(page, {"digits": digits})

    assert (done.status_code, done["Location"]) == (302, "/authorize")
    assert signed_in_as(client) == str(profile.account.pk)
    assert (profile.document["email"], profile.document["email_verified"]) == ("dina@example.com", True)
    assert (record["method"], record["connection"]) == ("code", "email")
    assert again.status_code == 401


def test_code_signs_in_the_existing_account_and_keeps_its_password(by_mail, dina, client):
    page, digits, _ = ask(client, "DINA@example.com")
    client.post(page, {"digits": digits})

    assert signed_in_as(client) == str(dina.pk)
    assert Account.objects.count() == 1
    dina.refresh_from_db()
    assert dina.check_password(PASSWORD)


def test_full_width_letters_of_a_domain_are_the_same_account(by_mail):
    account = passwordless_login("dina@mail.example", "email").account

    assert passwordless_login("dina@ｍail.exaｍple", "email").account == account


@pytest.mark.parametrize("alike", ["dina@maıl.example", "dına@mail.example", "dina@mail.example".replace("d", "ｄ")])
def test_address_that_only_looks_alike_is_another_account(by_mail, alike):
    """PostgreSQL upper-cases `ı` to `I`, but the two addresses are different mailboxes."""
    account = passwordless_login("Dina@Mail.example", "email")

    assert passwordless_login("dina@mail.example", "email") == account
    assert passwordless_login(alike, "email") != account


def test_kelvin_sign_in_an_address_is_not_a_k(by_mail):
    assert passwordless_login("kira@mail.example", "email") != passwordless_login(
        "\N{KELVIN SIGN}ira@mail.example", "email"
    )


def test_link_signs_in_only_in_the_browser_that_asked(by_mail, client):
    _, _, link = ask(client)
    elsewhere = Browser()
    there = elsewhere.post(link)
    opened = client.get(link)

    assert (there.status_code, signed_in_as(elsewhere)) == (403, "")
    assert "type the code from the mail" in there.content.decode()
    assert (opened.status_code, signed_in_as(client)) == (200, "")  # a scanner that opens links starts no session
    assert client.post(link).status_code == 302
    assert signed_in_as(client)
    assert client.post(link).status_code == 410


def test_digits_are_refused_in_another_browser(by_mail, client):
    page, digits, _ = ask(client)
    other = Browser()

    assert other.post(page, {"digits": digits}).status_code == 401
    assert not signed_in_as(other)


def test_right_digits_are_refused_after_three_wrong_tries(by_mail, client):
    page, digits, link = ask(client)
    wrong = f"{(int(digits) + 1) % 1_000_000:06}"
    for _ in range(3):
        assert client.post(page, {"digits": wrong}).status_code == 401

    assert client.post(page, {"digits": digits}).status_code == 401
    assert client.post(link).status_code == 410
    assert not Account.objects.exists()


def test_code_expires_and_is_replaced_by_a_newer_one(by_mail, client):
    first, digits, _ = ask(client)
    second, newer, _ = ask(client)
    old = client.post(first, {"digits": digits})
    EmailCode.objects.update(expires_at="2020-01-01T00:00:00Z")

    assert old.status_code == 401
    assert client.post(second, {"digits": newer}).status_code == 401


def test_codes_asked_for_by_attackers_end_no_code_of_the_customer(by_mail, client):
    page, digits, _ = ask(client)
    for number in (1, 2):
        ask(Browser(REMOTE_ADDR=f"203.0.113.{number}"))

    assert client.post(page, {"digits": digits}).status_code == 302
    assert signed_in_as(client)


def test_three_codes_of_an_address_are_good_at_once_and_those_of_known_browsers_stay(by_mail, dina, client):
    page, digits, _ = ask(client)  # dina signed in with this browser before
    for number in range(5):
        ask(Browser(REMOTE_ADDR=f"203.0.113.{number}"))
    alive = EmailCode.objects.filter(expires_at__gt=timezone.now(), used_at=None)

    assert alive.count() == 3
    assert client.post(page, {"digits": digits}).status_code == 302
    assert signed_in_as(client) == str(dina.pk)


def test_wrong_guesses_at_all_codes_of_an_address_are_counted_together(by_mail, client):
    answers = []
    for number in range(9):
        browser = Browser(REMOTE_ADDR=f"203.0.113.{number}")
        page, digits, _ = ask(browser)
        wrong = f"{(int(digits) + 1) % 1_000_000:06}"
        answers += [browser.post(page, {"digits": wrong}).status_code for _ in range(3)]

    assert answers == [401] * 20 + [429] * 7


def test_code_page_is_the_same_for_a_known_and_an_unknown_address(by_mail, dina, client):
    known = client.post("/code", {"email": "dina@example.com"})
    unknown = client.post("/code", {"email": "nobody@example.com"})
    pages = [client.get(answer["Location"]).content for answer in (known, unknown)]
    run_due()

    assert [known.status_code, unknown.status_code] == [302, 302]
    # The token in the address and the form's own differ; the words do not.
    assert len({re.sub(rb'(value|href)="[^"]+"', b"", page) for page in pages}) == 1
    assert {message.to[0] for message in mail.outbox[-2:]} == {"dina@example.com", "nobody@example.com"}


def test_stored_row_does_not_hold_the_code(by_mail, client):
    _, digits, link = ask(client)
    row = EmailCode.objects.values().get()

    assert digits not in str({name: value for name, value in row.items() if name != "id"}.values())
    assert link.partition("link=")[2] not in str(row)


def test_requests_for_codes_are_rate_limited(by_mail, client):
    answers = [client.post("/code", {"email": "dina@example.com"}).status_code for _ in range(6)]

    assert answers == [302] * 5 + [429]


def test_code_does_not_open_a_closed_account(by_mail, dina, client):
    Account.objects.update(is_active=False)
    page, digits, _ = ask(client)

    assert client.post(page, {"digits": digits}).status_code == 403
    assert not signed_in_as(client)


def test_code_needs_the_email_connection(passwords, client):
    assert client.post("/code", {"email": "dina@example.com"})["Location"] == "/login"
    assert "Get a code by e-mail" not in client.get("/login").content.decode()


def test_code_does_not_sign_in_staff(by_mail, client):
    Account.objects.create_staff("ana@example.com", PASSWORD)
    page, digits, _ = ask(client, "ana@example.com")
    client.post(page, {"digits": digits})

    assert not Account.objects.get(pk=signed_in_as(client)).is_staff


@pytest.mark.django_db(transaction=True)
def test_concurrent_tries_count_three_times_and_allow_one_use(standard_setup):
    expected = mailed_codes.expect(Attempt("code", "dina@example.com", "127.0.0.1"), browser="b")
    digits, _ = mailed_codes.write(expected)

    def tried(number: int) -> bool:
        try:
            return mailed_codes.is_right(expected, f"{number:06}" if f"{number:06}" != digits else "x")
        finally:
            database.close()

    def used(_: int) -> bool:
        try:
            return mailed_codes.use(expected)
        finally:
            database.close()

    with ThreadPoolExecutor(8) as crowd:
        assert sum(crowd.map(used, range(8))) == 1
        EmailCode.objects.update(used_at=None)
        assert not any(crowd.map(tried, range(8)))

    assert EmailCode.objects.get().wrong_tries == 3
