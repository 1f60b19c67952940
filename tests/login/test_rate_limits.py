"""Rate limits of logins and mails, shared by all processes."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from regulars.accounts import rate_limits
from regulars.accounts.models import Account, AttemptCount, PendingSignup
from regulars.accounts.passwords import PasswordHasher
from regulars.accounts.rate_limits import Attempt, Limit, TooManyAttempts, attempting, count_attempt
from regulars.base.errors import DomainError
from regulars.connections.models import Connection
from regulars.usecases.account_mails import signup_link
from regulars.usecases.complete_social_login import sign_up

from .conftest import PASSWORD

DINA = Attempt("login", "dina@example.com", "127.0.0.1")


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


def test_a_refused_attempt_is_not_counted(dina, client, three):
    """Logins that waited in vain must not use up the limit when those before them turn out right."""
    with attempting(DINA) as first, attempting(DINA) as second, attempting(DINA) as third:
        for _ in range(5):
            with pytest.raises(TooManyAttempts), attempting(DINA):
                pass
        for place in (first, second, third):
            place.succeed()

    assert [guess(client).status_code for _ in range(4)] == [401, 401, 401, 429]


def test_a_place_goes_back_to_the_window_it_was_taken_from(db, monkeypatch, three):
    now = rate_limits.time.time()
    with attempting(DINA) as place:
        monkeypatch.setattr("regulars.accounts.rate_limits.time.time", lambda: now + 900)
        for _ in range(3):
            count_attempt(DINA)
        place.succeed()

        with pytest.raises(TooManyAttempts):
            count_attempt(DINA)


def test_attempts_under_way_at_one_ip_address_are_bounded(db, monkeypatch):
    monkeypatch.setitem(rate_limits.LIMITS, "login", {"ip": Limit(60, 300, at_once=2)})
    monkeypatch.setattr(rate_limits, "LONGEST_WAIT", 0.2)
    with attempting(DINA), attempting(Attempt("login", "chika@example.com", DINA.ip)):
        started = time.monotonic()
        with pytest.raises(TooManyAttempts, match="in 1 min"), attempting(DINA):
            pass
        waited = time.monotonic() - started
        with attempting(Attempt("login", "dina@example.com", "203.0.113.7")):
            pass
    with attempting(DINA):
        pass

    assert waited >= 0.2


def test_a_known_browser_signs_in_while_attackers_guess(dina, client, three):
    """Even behind the same IP address; and a browser is known to its own customers only."""
    known, other = client, Client()
    for _ in range(4):
        guess(other)

    assert other.post("/login", {"email": dina.email, "password": PASSWORD}).status_code == 429
    assert known.post("/login", {"email": dina.email, "password": PASSWORD}).status_code == 302
    assert [guess(known, "eva@example.com").status_code for _ in range(4)] == [401, 401, 401, 429]
    assert [guess(known).status_code for _ in range(4)] == [401, 401, 401, 429]


def test_addresses_of_one_ipv6_network_are_counted_as_one(dina, client, three):
    answers = [guess(Client(REMOTE_ADDR=f"2001:db8:1:2::{n}")).status_code for n in range(1, 5)]

    assert answers == [401, 401, 401, 429]
    assert guess(Client(REMOTE_ADDR="::ffff:203.0.113.9")).status_code == 401
    assert guess(Client(REMOTE_ADDR="2001:db8:1:3::1")).status_code == 401


def test_the_link_of_a_sign_up_allows_no_more_guesses_than_the_login_page(passwords, client, three, hashed):
    client.post("/signup", {"email": "eva@example.com", "password": PASSWORD})
    link = signup_link(PendingSignup.objects.get())
    hashed.clear()
    answers = [Client().post(link, {"password": "wrong wrong wrong"}).status_code for _ in range(6)]

    assert answers == [422] * 3 + [429] * 3
    assert len(hashed) == 3


def test_a_changed_cookie_makes_no_browser_known(dina, client, three):
    sealed = client.cookies["regulars_browser"].value
    forged = Client()
    forged.cookies["regulars_browser"] = sealed[:-1] + ("A" if sealed[-1] != "A" else "B")
    for _ in range(3):
        guess(forged)

    assert dina.email not in sealed
    assert guess(forged).status_code == 429


@pytest.mark.django_db(transaction=True)
def test_processes_share_one_limit(transactional_db, three):
    """Count in threads with separate connections, then in another process."""
    passed: list[bool] = []

    def attempt() -> None:
        try:
            count_attempt(DINA)
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


GUESSES = 120  # more than any of the limits
# Where these guesses come from, as (IP address, e-mail address) of each number; and how many the limits let through.
ATTACKS = {
    "one pair": (lambda n: ("203.0.113.1", "dina@example.com"), "pair"),
    "many IP addresses": (lambda n: (f"203.0.{n // 250}.{n % 250}", "dina@example.com"), "email"),
    "many e-mail addresses": (lambda n: ("203.0.113.1", f"dina{n}@example.com"), "ip"),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("page", "action"), [("/login", "login"), ("/console/login", "console")])
def test_parallel_guesses_reach_the_hasher_no_more_often_than_the_limit(standard_setup, hashed, attack, page, action):
    Connection.objects.create(name="Username-Password-Authentication", strategy="auth0", display_name="Password")
    Account.objects.create_staff("dina@example.com", PASSWORD)
    hashed.clear()
    source, name = ATTACKS[attack]

    def one(number: int) -> int:
        ip, email = source(number)
        try:
            return Client(REMOTE_ADDR=ip).post(page, {"email": email, "password": "wrong wrong wrong"}).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(24) as crowd:
        answers = Counter(crowd.map(one, range(GUESSES)))
    most = rate_limits.LIMITS[action][name].most

    assert answers == {401: most, 429: GUESSES - most}
    assert len(hashed) == most


@pytest.mark.django_db(transaction=True)
def test_customers_behind_one_ip_address_wait_for_each_other_and_all_sign_in(standard_setup, monkeypatch):
    """Failures of others leave four places at this IP address; eight customers sign in there at once."""
    Connection.objects.create(name="Username-Password-Authentication", strategy="auth0", display_name="Password")
    people = [f"customer{n}@example.com" for n in range(8)]
    for email in people:
        sign_up(email, make_password(PASSWORD), "Username-Password-Authentication")
    for n in range(56):
        count_attempt(Attempt("login", f"attacker{n}@example.com", "127.0.0.1"))
    slow = PasswordHasher.verify

    def verify(self: PasswordHasher, password: str, encoded: str) -> bool:
        time.sleep(0.3)
        return slow(self, password, encoded)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    monkeypatch.setattr(
        rate_limits, "LONGEST_WAIT", 60.0
    )  # on a busy machine the first four take longer than two seconds

    def one(email: str) -> int:
        try:
            return Client().post("/login", {"email": email, "password": PASSWORD}).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as crowd:
        assert list(crowd.map(one, people)) == [302] * 8


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
    rate_limits.count_attempt(rate_limits.Attempt("login", "dina@example.com", "127.0.0.1"))
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
