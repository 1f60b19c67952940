"""Two web processes with one database, customers who are signed in there, and requests that are sent at the same time."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from tests.live import ANSWER_TIME, ROOT, Live, own_database, regulars
from tests.server.test_configuration import management
from tests.workers import once_in_a_run

SHORT = 2  # rounds of one race
LONG = int(os.environ.get("RACE_ROUNDS", "50"))
PASSWORD = "correct horse battery 7"
CONNECTION = "Username-Password-Authentication"
MADE_AT_ONCE = 40
CSRF = "c" * 32
Send = Callable[[httpx2.Client], httpx2.Response]

# What the sign-in pages leave behind, without their pages and without the cost of passwords.
CUSTOMERS = """
import django, json, sys
django.setup()
from regulars.accounts.proofs.addresses import record_address
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.models import Account
from regulars.consent.record import Decision
from regulars.profiles.learn import NewFact
from regulars.usecases.unit_of_work import changes
from tests.sessions import open_session
made = []
for number in range(int(sys.argv[1]), int(sys.argv[2])):
    email = f"customer-{number}@example.com"
    profile, _ = get_or_create_by_identity("auth0", f"{number:024x}", connection="Username-Password-Authentication")
    profile.account = Account.objects.create_user(email=email)
    profile.save()
    record_address(profile.account, proved=True)
    with changes(profile, "test") as c:
        c.decide(Decision("message", "given", "login"))
        c.learn([NewFact("email", email, "declared", "app:signin"), NewFact("name", "Chika", "declared", "app:signin"),
                 NewFact("email_verified", True, "verified", "app:signin")])
    made.append([profile.user_id, open_session(profile.account)])
print(json.dumps(made))
"""


@dataclass(frozen=True)
class Customer:
    """A customer with an account, a yes to messages and a session."""

    user_id: str
    session: str

    @property
    def path(self) -> str:
        return "/api/v2/users/" + quote(self.user_id, safe="")

    @property
    def refusals(self) -> str:
        return f"/api/regulars/v1/profiles/{quote(self.user_id, safe='')}/refusals"

    @property
    def identity(self) -> dict[str, str]:
        """The body that links them to another customer."""
        provider, _, name = self.user_id.partition("|")
        return {"provider": provider, "user_id": name}


@dataclass
class Pair:
    """Two web processes, and a worker, of one installation."""

    live: Live
    headers: dict[str, str]
    numbers: Iterator[int] = field(default_factory=itertools.count)
    waiting: list[Customer] = field(default_factory=list)

    def customers(self, count: int) -> list[Customer]:
        """Return customers that no other test has."""
        while len(self.waiting) < count:
            first = next(self.numbers) * MADE_AT_ONCE
            for user_id, session in json.loads(self.python(CUSTOMERS, first, first + MADE_AT_ONCE)):
                self.waiting.append(Customer(user_id, session))
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    def python(self, program: str, *arguments: object) -> str:
        """Run a program with the settings of this installation. Returns what it printed."""
        environment = {**self.live.environment, "DJANGO_SETTINGS_MODULE": "regulars.settings"}
        command = [sys.executable, "-c", program, *map(str, arguments)]
        ran = subprocess.run(command, env=environment, cwd=ROOT, check=False, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip().splitlines()[-1]

    def api(self, method: str, path: str, json: Any = None) -> Send:
        """Return a call of the Management API."""
        return lambda client: client.request(method, path, headers=self.headers, json=json)

    def page(self, who: Customer, path: str, form: dict[str, str] | None = None) -> Send:
        """Return a request of a customer's browser: a form to send, or a page to open."""
        headers = {"Cookie": f"regulars_session={who.session}; csrftoken={CSRF}"}
        if form is None:
            return lambda client: client.get(path, headers=headers)
        return lambda client: client.post(path, headers=headers, data={"csrfmiddlewaretoken": CSRF, **form})

    def ask(self, send: Send) -> httpx2.Response:
        with self.connection() as client:
            return send(client)

    def connection(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.live.url, timeout=ANSWER_TIME, trust_env=False, verify=False)

    def at_once(self, *sends: Send, late: float = 0.0) -> list[httpx2.Response]:
        """Send each request on an open connection of its own at the same time; every one but the first `late` seconds later."""
        answers: list[httpx2.Response | None] = [None] * len(sends)
        gate = threading.Barrier(len(sends))

        def run(place: int, send: Send) -> None:
            with self.connection() as client:
                client.get("/healthz")
                gate.wait(ANSWER_TIME)
                time.sleep(late if place else 0.0)
                answers[place] = send(client)

        threads = [threading.Thread(target=run, args=each) for each in enumerate(sends)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert None not in answers, "a request had no answer"
        return [each for each in answers if each is not None]

    def number_of(self, who: Customer) -> int | None:
        """Return the id of the row of the customer that this one is by now; None: erased."""
        rows = self.live.rows("SELECT id, merged_into_id FROM profiles_profile WHERE user_id = ?", who.user_id)
        return (rows[0][1] or rows[0][0]) if rows else None


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    once_in_a_run("races", tmp_path_factory)
    home = tmp_path_factory.mktemp("home")
    with (
        own_database() as database_url,
        regulars(home, "--no-demo", database_url=database_url, REGULARS_WORKERS="2") as running,
    ):
        running.execute("UPDATE connections_connection SET enabled = ?", True)
        yield Pair(running, management(running))


@pytest.fixture(params=[pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=pytest.mark.long)])
def rounds(request: pytest.FixtureRequest) -> list[float]:
    """By how many seconds the second request of each round is later than the first."""
    return [0.002 * (number % 12) if request.param == LONG else 0.012 * number for number in range(request.param)]
