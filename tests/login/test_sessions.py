"""Sessions of a customer: ending one also ends its authorization codes and offline access."""

from __future__ import annotations

import datetime as dt

import pytest
from allauth.usersessions.models import UserSession
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from tests.oidc.app import App, make_client

from regulars.accounts.models import StoredSession
from regulars.base.jobs.run_jobs import run_due
from regulars.base.jobs.schedule import SCHEDULE
from regulars.interfaces.worker import work  # noqa: F401 - registers its periodic tasks
from regulars.oauth.models import RefreshFamily
from regulars.usecases.sign_out import SETTLED, delete_ended_sessions

from .conftest import PASSWORD

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1"


def browser(agent: str) -> Client:
    made = Client(HTTP_USER_AGENT=agent)
    made.post("/login", {"email": "dina@example.com", "password": PASSWORD})
    return made


def is_signed_in(client) -> bool:
    return "You are signed in" in client.get("/").content.decode()


def offline(client) -> App:
    """Return the shop's app in this browser, with a refresh token."""
    app = App(client)
    app.refresh_token = app.tokens(scope="openid offline_access")["refresh_token"]
    return app


def still_works(app: App) -> bool:
    answer = app.refresh(app.refresh_token)
    app.refresh_token = answer.json().get("refresh_token", "")
    return answer.status_code == 200


@pytest.fixture
def shop(standard_setup):
    return make_client()


@pytest.fixture
def two(dina, shop):
    """Dina's sessions on a desktop and a phone, with the shop's app on both."""
    desk, phone = browser(FIREFOX), browser(SAFARI)
    return desk, phone, offline(desk), offline(phone)


def test_page_lists_the_sessions_of_the_customer(two):
    desk, *_ = two
    page = desk.get("/me/security").content.decode()

    assert "Firefox on Windows (this one)" in page
    assert "Safari on iPhone" in page
    assert page.count("127.0.0.1") == 2


def test_signing_out_one_device_ends_its_apps_and_no_others(two, dina):
    desk, phone, at_desk, on_phone = two
    number = dina.usersession_set.get(user_agent=SAFARI).pk
    desk.post("/me/security/sessions/end", {"session": number})

    assert (is_signed_in(desk), is_signed_in(phone)) == (True, False)
    assert (still_works(at_desk), still_works(on_phone)) == (True, False)
    assert RefreshFamily.objects.get(revoked_why="signed_out")


def test_signing_out_everywhere_else_keeps_this_device(two):
    desk, phone, at_desk, on_phone = two
    desk.post("/me/security/sessions/end", {"session": "others"})

    assert (is_signed_in(desk), is_signed_in(phone)) == (True, False)
    assert (still_works(at_desk), still_works(on_phone)) == (True, False)


def test_pending_authorization_code_is_invalid_after_signing_out(two):
    desk, _, _, on_phone = two
    code = on_phone.code()
    desk.post("/me/security/sessions/end", {"session": "others"})

    assert on_phone.exchange(code).status_code == 400


def test_session_of_another_customer_cannot_be_ended(two, dina, client, last_link):
    client.post("/signup", {"email": "eva@example.com", "password": PASSWORD})
    client.post(last_link())
    for session in (*(each.pk for each in dina.usersession_set.all()), "others", "x", "", "9" * 30):
        client.post("/me/security/sessions/end", {"session": session})

    assert is_signed_in(two[0])
    assert still_works(two[3])


def test_new_password_ends_all_other_sessions_and_sends_a_mail(two, dina):
    desk, phone, at_desk, on_phone = two
    weak = desk.post("/me/security/password", {"password": "short"})
    done = desk.post("/me/security/password", {"password": "another row of words"})
    run_due()

    assert (weak.status_code, done.status_code) == (422, 302)
    assert (is_signed_in(desk), is_signed_in(phone)) == (True, False)
    assert (still_works(at_desk), still_works(on_phone)) == (True, False)
    assert (mail.outbox[-1].subject, mail.outbox[-1].to) == ("Your password was changed", [dina.email])
    assert "/me/security" in mail.outbox[-1].body


def test_password_reset_ends_all_sessions(two, client, last_link):
    desk, phone, at_desk, on_phone = two
    client.post("/password/reset", {"email": "dina@example.com"})
    client.post(last_link(), {"password": "another row of words"})
    run_due()

    assert not is_signed_in(desk)
    assert not is_signed_in(phone)
    assert not still_works(at_desk)
    assert not still_works(on_phone)
    assert is_signed_in(client)
    assert mail.outbox[-1].subject == "Your password was changed"


def test_page_without_a_session_shows_no_list(dina, client):
    assert client.get("/me/security")["Location"] == "/login?next=%2Fme%2Fsecurity"


def test_login_costs_the_same_queries_for_any_number_of_sessions(dina):
    before = UserSession.objects.count()
    browser(FIREFOX)
    with CaptureQueriesContext(connection) as second:
        browser(SAFARI)
    for _ in range(3):
        browser(FIREFOX)
    with CaptureQueriesContext(connection) as sixth:
        browser(SAFARI)

    assert len(sixth) == len(second)
    assert UserSession.objects.count() == before + 6


def test_time_of_the_login_is_recorded(dina):
    began = timezone.now()
    browser(FIREFOX)
    dina.refresh_from_db()

    assert began <= dina.last_login <= timezone.now()


def test_signing_in_again_keeps_one_session_row_with_the_new_address(dina, client):
    for address in ("203.0.113.7", "203.0.113.8"):
        client.post("/login", {"email": dina.email, "password": PASSWORD}, REMOTE_ADDR=address)

    assert [session.ip for session in UserSession.objects.filter(ip__startswith="203.")] == ["203.0.113.8"]


def test_worker_deletes_expired_sessions_from_the_list(dina):
    UserSession.objects.all().delete()
    for _ in range(3):
        browser(FIREFOX)
    over, young, alive = UserSession.objects.order_by("pk")
    StoredSession.objects.filter(session_key__in=[over.session_key, young.session_key]).delete()
    earlier = timezone.now() - SETTLED - dt.timedelta(minutes=1)
    UserSession.objects.filter(pk__in=[over.pk, alive.pk]).update(created_at=earlier)
    delete_ended_sessions()

    assert list(UserSession.objects.order_by("pk")) == [young, alive]


def test_worker_runs_the_cleanup_of_the_interfaces():
    assert {"sessions.forget", "accounts.delete_old_attempts"} <= set(SCHEDULE)
