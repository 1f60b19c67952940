"""Rate limits of logins and mails, shared by all processes."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import threading

import pytest
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from regulars.accounts import rate_limits
from regulars.accounts.models import AttemptCount
from regulars.accounts.rate_limits import Limit, count_attempt
from regulars.base.errors import DomainError

from .conftest import PASSWORD


def guess(client, email="dina@example.com"):
    return client.post("/login", {"email": email, "password": "wrong wrong wrong"})


@pytest.fixture
def three(monkeypatch):
    monkeypatch.setitem(rate_limits.LIMITS, "login", {"pair": Limit(3, 900)})


def test_right_password_is_refused_after_too_many_guesses(dina, client, three):
    for _ in range(3):
        assert guess(client).status_code == 401
    answer = client.post("/login", {"email": "DINA@example.com ", "password": PASSWORD})

    assert answer.status_code == 429
    assert "Too many attempts. Try again in" in answer.content.decode()
    assert not AttemptCount.objects.filter(key__contains="dina").exists()


def test_another_address_may_still_sign_in(dina, client, three):
    for _ in range(4):
        guess(client)

    assert (
        Client(REMOTE_ADDR="203.0.113.7").post("/login", {"email": dina.email, "password": PASSWORD}).status_code == 302
    )


def test_successful_logins_are_not_counted(dina, client, three):
    for _ in range(6):
        assert client.post("/login", {"email": dina.email, "password": PASSWORD}).status_code == 302


def test_limit_ends_with_its_window(dina, client, three, monkeypatch):
    for _ in range(4):
        guess(client)
    later = rate_limits.time.time() + 900
    monkeypatch.setattr("regulars.accounts.rate_limits.time.time", lambda: later)

    assert client.post("/login", {"email": dina.email, "password": PASSWORD}).status_code == 302


def test_only_counts_of_expired_windows_are_deleted(dina, client, three):
    guess(client)
    counted = set(AttemptCount.objects.values_list("key", "count"))
    AttemptCount.objects.create(key="old", count=9, expires_at=timezone.now() - dt.timedelta(seconds=1))
    rate_limits.delete_old_attempts()

    assert counted
    assert set(AttemptCount.objects.values_list("key", "count")) == counted


@pytest.mark.parametrize("path", ["/signup", "/password/reset"])
def test_mails_to_one_address_are_limited(passwords, client, path):
    answers = [client.post(path, {"email": "dina@example.com", "password": PASSWORD}).status_code for _ in range(6)]

    assert answers == [200] * 5 + [429]


@pytest.mark.django_db(transaction=True)
def test_processes_share_one_limit(transactional_db, three):
    """Count in threads with separate connections, then in another process."""
    passed: list[bool] = []

    def attempt() -> None:
        try:
            count_attempt("127.0.0.1", "login", "dina@example.com")
            passed.append(True)
        except DomainError:
            passed.append(False)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(passed) == [False] * 3 + [True] * 3
    assert elsewhere(ANOTHER_PROCESS, rate_limits.time.time()) == "too_many_attempts"


ANOTHER_PROCESS = """
import sys, django; django.setup()
from django.conf import settings
from django.db import connection
connection.settings_dict["NAME"] = sys.argv[1]
from regulars.base.errors import DomainError
from regulars.accounts import rate_limits
rate_limits.LIMITS["login"] = {"pair": rate_limits.Limit(3, 900)}
rate_limits.time.time = lambda: int(sys.argv[2])
try:
    rate_limits.count_attempt("127.0.0.1", "login", "dina@example.com")
except DomainError as error:
    print(error.code)
"""


def elsewhere(code: str, now: int) -> str:
    name = str(connection.settings_dict["NAME"])
    done = subprocess.run(
        [sys.executable, "-c", code, name, str(now)],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "regulars.settings"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout.strip() or done.stderr
