"""Sign-up, login, logout and password reset with an address and a password."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from regulars.accounts.models import Account, PendingSignup
from regulars.base.jobs.run_jobs import run_due
from regulars.events.models import Event
from regulars.profiles.find import accounts_of_address
from regulars.profiles.models import Profile
from regulars.usecases.users import NewDatabaseUser, UserPatch, create_user
from regulars.usecases.write_values import by_app

from .conftest import PASSWORD

WRONG = "E-mail or password is not right."


def sign_in(client, email="dina@example.com", password=PASSWORD, query=""):
    return client.post(f"/login{query}", {"email": email, "password": password})


def signed_in_as(client) -> str:
    return client.session.get("_auth_user_id", "")


def test_signup_link_creates_the_account_signs_in_and_continues(passwords, client, last_link):
    answer = client.post("/signup?next=/authorize%3Fa%3Db", {"email": "Dina@Example.com", "password": PASSWORD})

    assert answer.status_code == 200
    assert "Look into your mail" in answer.content.decode()
    assert not Account.objects.exists()

    link = last_link()
    assert client.get(link).status_code == 200
    assert not Account.objects.exists()  # link scanners send GET requests only
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


def test_signup_by_an_attacker_is_not_completed_by_the_address_owners_click(passwords, client, last_link):
    Client().post("/signup", {"email": "dina@example.com", "password": "words of an attacker"})
    link = last_link()
    page = client.get(link).content.decode()
    clicked, guessed = client.post(link), client.post(link, {"password": PASSWORD})

    assert 'name="password"' in page
    assert (clicked.status_code, guessed.status_code) == (422, 422)
    assert not Account.objects.exists()


def test_signup_is_completed_in_another_browser_with_the_chosen_password(passwords, client, last_link):
    client.post("/signup", {"email": "dina@example.com", "password": PASSWORD})
    elsewhere = Client()
    done = elsewhere.post(last_link(), {"password": PASSWORD})

    assert done.status_code == 302
    assert signed_in_as(elsewhere) == str(Account.objects.get().pk)


def test_password_login_is_recorded_in_the_session(dina, client):
    answer = sign_in(client, "DINA@example.com", query="?next=/authorize")

    record = client.session["account_authentication_methods"][-1]
    assert (answer.status_code, answer["Location"]) == (302, "/authorize")
    assert (record["method"], record["connection"]) == ("password", "Username-Password-Authentication")
    assert signed_in_as(client) == str(dina.pk)


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
def test_login_never_redirects_to_another_site(dina, client, elsewhere):
    assert client.post(f"/login?next={elsewhere}", {"email": dina.email, "password": PASSWORD})["Location"] == "/"


def test_address_is_matched_without_case_by_an_index(dina, client):
    answer = client.post("/login", {"email": " Dina@Example.com", "password": PASSWORD})

    assert answer.status_code == 302
    if connection.vendor == "sqlite":  # PostgreSQL reads a table this small from end to end
        with CaptureQueriesContext(connection) as captured:
            assert accounts_of_address("dina@example.com") == [dina]
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {captured.captured_queries[0]['sql']}")
            assert "INDEX account_by_lower_email" in str(cursor.fetchall())


def test_staff_cannot_sign_in_as_customers(passwords, client):
    Account.objects.create_staff("bruno@example.com", PASSWORD)

    answer = sign_in(client, "bruno@example.com")

    assert answer.status_code == 401
    assert WRONG in answer.content.decode()
    assert not signed_in_as(client)


def test_customer_created_by_an_application_signs_in_at_once(passwords, client):
    create_user(NewDatabaseUser(passwords.name, "eva@example.com", UserPatch(password=PASSWORD)), by_app("shop"))

    assert sign_in(client, "eva@example.com")["Location"] == "/"


def test_blocked_customer_cannot_sign_in(dina, client):
    Account.objects.update(is_active=False)

    assert sign_in(client).status_code == 401


def test_session_continues_unless_the_application_requests_a_new_login(dina, client):
    sign_in(client)
    first = client.session["account_authentication_methods"][-1]["at"]

    assert client.get("/login?next=/x")["Location"] == "/x"
    assert client.get("/login?next=/x&prompt=login").status_code == 200
    assert sign_in(client, query="?next=/x&prompt=login")["Location"] == "/x"
    assert client.session["account_authentication_methods"][-1]["at"] > first
    assert len(client.session["account_authentication_methods"]) == 1


def test_another_customer_in_the_same_browser_gets_a_new_session(dina, passwords, client, last_link):
    sign_in(client)
    session = client.session
    session["basket"] = "dina's"
    session.save()
    client.post("/signup", {"email": "eva@example.com", "password": PASSWORD})
    client.post(last_link())

    assert signed_in_as(client) != str(dina.pk)
    assert "basket" not in client.session


def test_screen_hint_opens_the_signup_with_the_hinted_address(passwords, client):
    hinted = client.get("/login?screen_hint=signup&login_hint=eva@example.com&next=/a")

    assert hinted["Location"] == "/signup?next=%2Fa&login_hint=eva%40example.com"
    assert 'value="eva@example.com"' in client.get(hinted["Location"]).content.decode()


def test_connection_parameter_redirects_to_the_connection(google, client):
    assert client.get("/login?connection=google-oauth2&next=/a")["Location"] == "/login/google-oauth2?next=%2Fa"
    assert client.get("/login?connection=unknown").status_code == 200


@pytest.mark.parametrize(
    ("email", "password", "words"),
    [
        ("dina", PASSWORD, "Write an e-mail address"),
        ("d" * 250 + "@example.com", PASSWORD, "Write an e-mail address"),
        ("dina@example.com", "short", "too short"),
        ("dina@example.com", "password", "too common"),
        ("dina@example.com", "dina@example.com", "too similar"),
        ("dina@example.com", "a\x00" * 9, "cannot be used"),
    ],
)
def test_input_error_is_shown_and_linked_to_its_field(passwords, client, email, password, words):
    answer = client.post("/signup", {"email": email, "password": password})

    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert "<title>Error: Sign up</title>" in answer.content.decode()
    assert not PendingSignup.objects.exists()


def test_login_does_not_reveal_whether_an_address_is_known(dina, client, monkeypatch):
    hashed = []
    from django.contrib.auth.hashers import Argon2PasswordHasher

    encode, verify = Argon2PasswordHasher.encode, Argon2PasswordHasher.verify
    monkeypatch.setattr(Argon2PasswordHasher, "encode", lambda *a: hashed.append("made") or encode(*a))
    monkeypatch.setattr(Argon2PasswordHasher, "verify", lambda *a: hashed.append("checked") or verify(*a))

    known = sign_in(client, password="wrong wrong wrong")
    work = len(hashed)
    unknown = sign_in(client, email="nobody@example.com", password="wrong wrong wrong")

    assert (known.status_code, unknown.status_code) == (401, 401)
    assert plain(known, dina.email) == plain(unknown, "nobody@example.com")
    assert (work, len(hashed)) == (1, 2)


@pytest.mark.parametrize("path", ["/signup", "/password/reset"])
def test_signup_and_reset_do_not_reveal_whether_an_address_is_known(dina, client, path, settings):
    settings.DEMO = False  # pages of the demo contain a link that differs per request
    answers, works = [], []
    for email in (dina.email, "nobody@example.com"):
        client.post(
            path, {"email": email, "password": PASSWORD}
        )  # the first attempt of a window also deletes old attempts
        with CaptureQueriesContext(connection) as queries:
            answers.append(plain(client.post(path, {"email": email, "password": PASSWORD}), email))
        works.append([query["sql"].split()[0] for query in queries.captured_queries])

    assert answers[0] == answers[1]
    assert works[0] == works[1]


def plain(answer, email) -> str:
    """Return the page without the address and the form token of this request."""
    page = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.content.decode())
    return page.replace(email, "EMAIL")


def test_signup_with_a_known_address_is_reported_by_mail_only(dina, client):
    client.post("/signup", {"email": dina.email, "password": "another row of words"})
    run_due()

    assert mail.outbox[-1].subject == "You already have an account"
    assert sign_in(client, password="another row of words").status_code == 401
    assert sign_in(client).status_code == 302


def test_address_registered_meanwhile_is_not_registered_twice(passwords, client, last_link):
    client.post("/signup", {"email": "dina@example.com", "password": PASSWORD})
    link = last_link()
    Account.objects.create_user("dina@example.com", PASSWORD)

    assert client.post(link).status_code == 409
    assert Account.objects.count() == 1


@pytest.mark.parametrize("token", ["", "x", "MQ:abc:def"])
def test_link_without_a_valid_signature_shows_an_error_page(passwords, client, token):
    for answer in (client.get("/signup/finish", {"token": token}), client.post(f"/signup/finish?token={token}")):
        assert answer.status_code == 410
        assert "This link no longer works" in answer.content.decode()


def test_reset_link_replaces_the_password_once(dina, client, last_link):
    elsewhere = Client()
    sign_in(elsewhere)
    assert client.post("/password/reset?next=/x", {"email": "DINA@example.com"}).status_code == 200
    link = last_link()

    assert client.get(link).status_code == 200
    assert client.post(link, {"password": "short"}).status_code == 422
    done = client.post(link, {"password": "another row of words"})

    assert (done.status_code, done["Location"]) == (302, "/x")
    assert signed_in_as(client) == str(dina.pk)
    assert client.post(link, {"password": "a third row of words"}).status_code == 410
    assert "You are not signed in" in elsewhere.get("/").content.decode()
    assert sign_in(Client()).status_code == 401


def test_address_without_a_customer_account_gets_no_mail(passwords, client):
    Account.objects.create_staff("bruno@example.com", PASSWORD)
    for email in ("nobody@example.com", "bruno@example.com", "a\x00b", ""):
        assert client.post("/password/reset", {"email": email}).status_code == 200
    run_due()

    assert mail.outbox == []


def test_reset_verifies_the_address_of_a_customer_created_by_an_application(passwords, client, last_link):
    test_customer_created_by_an_application_signs_in_at_once(passwords, client)
    client.post("/logout")
    client.post("/password/reset", {"email": "eva@example.com"})
    client.post(last_link(), {"password": "another row of words"})

    assert Profile.objects.get().document["email_verified"] is True
    assert EmailAddress.objects.get().verified


def test_start_page_shows_the_customer_and_signs_out(dina, client):
    assert "You are not signed in" in client.get("/").content.decode()
    sign_in(client)
    page = client.get("/")

    assert "dina@example.com" in page.content.decode()
    assert "default-src 'none'" in page["Content-Security-Policy"]
    assert client.get("/logout").status_code == 200  # a GET request does not sign out
    assert signed_in_as(client)
    assert client.post("/logout?next=https://evil.example")["Location"] == "/"
    assert not signed_in_as(client)


@pytest.mark.parametrize("path", ["/login", "/signup", "/password/reset", "/logout"])
def test_form_of_another_site_is_refused(dina, path):
    assert Client(enforce_csrf_checks=True).post(path, {"email": dina.email, "password": PASSWORD}).status_code == 403


@pytest.mark.parametrize(
    "path", ["/accounts/login/", "/accounts/google/login/", "/login/", "/email/", "/2fa/", "/google/login/"]
)
def test_pages_of_allauth_are_not_served(passwords, client, path):
    assert client.get(path).status_code == 404


# Disables buttons while a form is being sent; pages work without it.
FORMS = ['<script src="/static/pages/forms.js" defer>']


def test_pages_need_no_script(google, passwords, client):
    for path in ("/", "/login", "/signup", "/password/reset", "/login/google-oauth2"):
        page = client.get(path)
        assert page.status_code == 200
        scripts = re.findall(r"<script[^>]*>", page.content.decode())
        assert scripts in (FORMS, [*FORMS, '<script src="/static/pages/passkey.js" defer>'])
        assert page["Content-Security-Policy"].startswith("default-src 'none'")
        assert "script-src 'self';" in page["Content-Security-Policy"]
        assert "no-store" in page["Cache-Control"]


def test_a_crowd_hashes_as_many_passwords_at_once_as_there_are_cores(monkeypatch):
    from django.contrib.auth.hashers import Argon2PasswordHasher

    from regulars.accounts.passwords import PasswordHasher

    under_way, most = [], []

    def verify(self, password, encoded):
        under_way.append(encoded)
        most.append(len(under_way))
        time.sleep(0.01)
        under_way.remove(encoded)
        return True

    monkeypatch.setattr(Argon2PasswordHasher, "verify", verify)
    monkeypatch.setattr(PasswordHasher, "turns", BoundedSemaphore(2))
    with ThreadPoolExecutor(10) as threads:
        found = list(threads.map(lambda number: PasswordHasher().verify(PASSWORD, str(number)), range(10)))

    assert found == [True] * 10
    assert max(most) == 2
