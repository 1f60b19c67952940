"""Thirty customers sign in at once, while the worker is busy, the console is open and events are collected: how long each request takes.

The whole product runs as `regulars start` runs it. Each of a burst of thirty browsers opens `/authorize`, gets the sign-in page,
sends its password, and comes back to `/authorize` for its code. Beside them a shop sends events faster than the worker
processes them, with segments to evaluate, and two members of staff look at pages of the console.

The yardstick is what was wanted: 2 seconds for `/authorize` at the 99th percentile. A ratio above 1 is faster. The hashes of
thirty passwords alone are some four seconds of processor time, so that two cores need two seconds for a burst in any case.

`DATABASE_URL` of a PostgreSQL server measures there, in a database of its own. `--quick` sends two bursts instead of six.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from itertools import count, cycle
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from tests.live import ROOT, Live, own_database, regulars

from benchmarks._run import is_quick, tell

BROWSERS = 30
BATCHES_PER_SECOND, BATCH = 12, 20
VISITORS = 200
WANTED = 2.0  # seconds
PASSWORD = "a few words in a row"
FURNISH = f"""
import django, json
django.setup()
from django.contrib.auth.hashers import make_password
from regulars.accounts.models import Account
from regulars.clients.register import ClientSpec, register
from regulars.connections.models import Connection
from regulars.events.models import Source
from regulars.interfaces.console.pages import PROVED
from regulars.usecases.complete_social_login import sign_up
from regulars.usecases.save_segment import save_and_evaluate
from regulars.serving.session_store import SessionStore
from tests.sessions import open_session
name = "Username-Password-Authentication"
Connection.objects.update_or_create(name=name, defaults={{"strategy": "auth0", "display_name": "E-mail", "enabled": True}})
hashed = make_password({PASSWORD!r})
for number in range({BROWSERS}):
    sign_up(f"customer{{number}}@example.com", hashed, name)
save_and_evaluate("Lookers", 'did("Product Viewed" in 30d):>=3', "measure")
save_and_evaluate("Buyers", 'did("Order Completed" in 90d)', "measure")
save_and_evaluate("Away", 'NOT did("Product Viewed" in 7d)', "measure")
source, _ = Source.objects.get_or_create(slug="bench", defaults={{"name": "Bench"}})
shop, _ = register(ClientSpec("Bench", redirect_uris=["http://localhost:3000/callback"]))
staff = open_session(Account.objects.create_staff("ana@shop.example", "a long password", role="admin"))
session = SessionStore(staff)
session[PROVED] = True
session.save()
print(json.dumps({{"client": shop.pk, "key": source.write_key, "staff": staff}}))
"""


@dataclass
class Measured:
    """Seconds of each request, by what it was."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, name: str, took: float) -> None:
        self.seconds.setdefault(name, []).append(took)

    def report(self) -> None:
        for name, found in sorted(self.seconds.items()):
            figures = ", ".join(f"{label} {1000 * percentile(found, part):,.0f}" for label, part in PERCENTILES)
            print(f"{name}: {len(found)} times, ms: {figures}")
        for fault in sorted(set(self.faults)):
            print(f"{self.faults.count(fault)} times: {fault}")


PERCENTILES = (("median", 0.5), ("p90", 0.9), ("p99", 0.99), ("longest", 1.0))


def percentile(found: list[float], part: float) -> float:
    """The value that this part of all does not exceed."""
    return sorted(found)[max(0, -int(-len(found) * part // 1) - 1)]


@dataclass
class Site:
    live: Live
    client: str
    key: str
    staff: str
    measured: Measured = field(default_factory=Measured)
    over: threading.Event = field(default_factory=threading.Event)

    def connection(self) -> HTTPConnection:
        return HTTPConnection("localhost", urlsplit(self.live.url).port, timeout=120)

    def sign_in(self, number: int) -> None:
        """One browser, from the app to the code."""
        connection, cookies = self.connection(), {}

        def ask(name: str, method: str, target: str, form: dict[str, str] | None = None) -> tuple[HTTPResponse, str]:
            headers = {"Cookie": "; ".join(f"{key}={value}" for key, value in cookies.items())}
            if form is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            began = time.monotonic()
            connection.request(method, target, urlencode(form) if form is not None else None, headers)
            answer = connection.getresponse()
            body = answer.read().decode()
            self.measured.add(name, time.monotonic() - began)
            for cookie in answer.headers.get_all("Set-Cookie") or []:
                key, _, value = cookie.partition(";")[0].partition("=")
                cookies[key] = value
            return answer, body

        def location(answer: HTTPResponse, name: str) -> str:
            if answer.status != 302:
                raise RuntimeError(f"{name} answered {answer.status}")
            parts = urlsplit(answer.headers["Location"])
            return answer.headers["Location"] if parts.port == 3000 else f"{parts.path}?{parts.query}"

        wish = {"response_type": "code", "client_id": self.client, "redirect_uri": "http://localhost:3000/callback"}
        wish |= {"scope": "openid profile", "state": "some-state-of-the-app", "nonce": uuid.uuid4().hex}
        began = time.monotonic()
        page, _ = ask("/authorize, first", "GET", "/authorize?" + urlencode(wish))
        sign_in = location(page, "/authorize")
        _, body = ask("/login, page", "GET", sign_in)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', body)
        if token is None:
            raise RuntimeError("/login has no form")
        form = {"csrfmiddlewaretoken": token[1], "email": f"customer{number}@example.com", "password": PASSWORD}
        entered, _ = ask("/login, password", "POST", sign_in, form)
        back, _ = ask("/authorize, back", "GET", location(entered, "/login"))
        if "code=" not in location(back, "/authorize"):
            raise RuntimeError("/authorize gave no code")
        self.measured.add("whole sign-in", time.monotonic() - began)

    def burst(self) -> None:
        threads = [threading.Thread(target=self.run, args=(self.sign_in, number)) for number in range(BROWSERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def run(self, act: Callable[[int], None], number: int) -> None:
        try:
            act(number)
        except Exception as fault:
            self.measured.faults.append(f"{type(fault).__name__}: {fault}")

    def send_events(self, numbers: count[int], sender: int) -> None:
        """Send batches as a shop's pages do, until the end."""
        connection = self.connection()
        for number in numbers:
            if self.over.is_set():
                return
            began = time.monotonic()
            connection.request("POST", "/v1/batch", self.batch(number), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                self.measured.faults.append(f"/v1/batch answered {answer.status}")
            self.measured.add("/v1/batch", time.monotonic() - began)
            self.over.wait(max(0.0, 2 / BATCHES_PER_SECOND - (time.monotonic() - began)))

    def batch(self, number: int) -> str:
        messages = [
            {
                "type": "track",
                "event": ("Product Viewed", "Product Viewed", "Order Completed")[place % 3],
                "messageId": uuid.uuid4().hex,
                "userId": f"visitor-{(number * BATCH + place) % VISITORS}",
                "properties": {"product_id": "quay-parka", "category": "jackets", "price": 249},
                "context": {"traits": {"name": f"Visitor {place}"}},
            }
            for place in range(BATCH)
        ]
        return json.dumps({"batch": messages, "writeKey": self.key})

    def watch_console(self, number: int) -> None:
        connection = self.connection()
        for path in cycle(["/console/", "/console/customers", "/console/segments", "/console/sources"]):
            if self.over.is_set():
                return
            began = time.monotonic()
            connection.request("GET", path, headers={"Cookie": f"regulars_staff={self.staff}"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                self.measured.faults.append(f"{path} answered {answer.status}")
            self.measured.add("console", time.monotonic() - began)
            self.over.wait(1.0)


def main() -> None:
    bursts = 2 if is_quick() else 6
    unlimited = {"REGULARS_CONNECTIONS_PER_IP": "0", "REGULARS_REQUESTS_PER_IP": "0"}
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="regulars-bench-")))
        database = stack.enter_context(own_database())
        live = stack.enter_context(regulars(home, "--no-demo", database_url=database, **unlimited))
        site = Site(live, **json.loads(furnish(live)))
        site.burst()  # warm
        site.measured.seconds.clear()
        numbers = count()
        others = [threading.Thread(target=site.send_events, args=(numbers, each)) for each in range(2)]
        others += [threading.Thread(target=site.watch_console, args=(each,)) for each in range(2)]
        for each in others:
            each.start()
        time.sleep(5)
        for _ in range(bursts):
            site.burst()
            time.sleep(1)
        site.over.set()
        for each in others:
            each.join()
        [(waiting,)] = live.rows("SELECT count(*) FROM events_inboxitem WHERE processed_at IS NULL")
    site.measured.report()
    print(f"{waiting:,} messages were left in the inbox")
    found = [each for name, times in site.measured.seconds.items() if name.startswith("/authorize") for each in times]
    if not found or site.measured.faults:
        sys.exit("Some requests failed.")
    words = "{ours:.2f} = 1 / seconds of /authorize at the 99th percentile / {theirs:.2f} wanted"
    tell("busy-sign-ins", 1 / percentile(found, 0.99), 1 / WANTED, words)


def furnish(live: Live) -> str:
    environment = {**live.environment, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "regulars.settings"}
    made = subprocess.run(
        [sys.executable, "-c", FURNISH], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return made.stdout.splitlines()[-1]


if __name__ == "__main__":
    main()
