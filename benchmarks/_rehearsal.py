"""Months of a shop, a day at a time: `scripts/rehearse`, which moves the clock of this program.

A day is sign-ups, sign-ins with a rule and a question, refreshes, silent sign-ins, events of visitors and customers, yeses
and noes, links, erasures, a backup, and everything that the worker has to do by its calendar and its queue; on three days it is off. All of it goes
through the interfaces, in this process: pages, APIs, the collector, the worker's own loop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import re
import select
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks._growth import Measured, report

DAY, HOUR = 86_400, 3_600
PASSWORD = "correct horse battery 7"
CONNECTION = "Username-Password-Authentication"
CALLBACK = "https://shop.example/callback"
APP = "rehearsal"
RULE = """
function (user, context, callback) {
  user.app_metadata = user.app_metadata || {};
  user.app_metadata.last_app = context.clientName;
  context.idToken['https://shop.example/visits'] = context.stats.loginsCount;
  callback(null, user, context);
}
"""
MONTH = 30
LOOKS_AT_OWN_PAGE = 0.2
WORKER_IS_OFF = range(20, 23)  # days: what waits then is done in the evening after
ROUNDS = 500  # of the worker in one evening: more means that its queue never ends


def _sleep(seconds: float) -> None:
    """Sleep for some seconds. Python sleeps until an instant, which libfaketime moves: `EINVAL`."""
    select.select([], [], [], max(seconds, 0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/rehearse")
    parser.add_argument("--days", type=int, default=425, help="how long the rehearsal is (425: fourteen months)")
    parser.add_argument("--sign-ins", type=int, default=5, help="a day")
    parser.add_argument("--events", type=int, default=20, help="a day")
    parser.add_argument("--backups", type=int, default=7, help="how many are kept")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="a new folder, which stays; left out, one that is removed")
    asked = parser.parse_args()
    if "FAKETIME_TIMESTAMP_FILE" not in os.environ:
        sys.exit("Start this with scripts/rehearse, which moves its clock.")
    time.sleep = _sleep
    with tempfile.TemporaryDirectory(prefix="regulars-rehearsal-") as folder:
        home = (asked.home or Path(folder) / "home").resolve()
        _set_up(home)
        with Rehearsal(home, asked).started() as rehearsal:
            measured = rehearsal.live()
    print(report(measured, rehearsal.faults, days=asked.days))
    sys.exit(bool(rehearsal.faults or any(each.is_beyond for each in measured.lines(asked.days))))


def _set_up(home: Path) -> None:
    url = os.environ.get("DATABASE_URL")
    for name in [name for name in os.environ if name.startswith(("REGULARS_", "DATABASE_"))]:
        del os.environ[name]
    os.environ |= {"REGULARS_HOME": str(home), "DJANGO_SETTINGS_MODULE": "regulars.settings"}
    os.environ |= {"REGULARS_URL": "http://testserver", "REGULARS_ALLOW_HOSTS": "127.0.0.1"}
    if url:
        os.environ["DATABASE_URL"] = url
    import django

    django.setup()
    from regulars.base.addresses import Addresses
    from regulars.operations.setup import set_up

    set_up(Addresses("http://testserver", "http://testserver", "http://testserver"), demo=False, report=print)


class Clock:
    """The file that libfaketime reads: seconds from now."""

    def __init__(self) -> None:
        self.file = Path(os.environ["FAKETIME_TIMESTAMP_FILE"])
        self.begun = time.monotonic()
        self.start = time.time()

    def is_at(self, seconds: float) -> None:
        """Let it be so many seconds after the beginning, however long the rehearsal took until now."""
        self.file.write_text(f"{seconds - (time.monotonic() - self.begun):+.3f}")
        assert abs(time.time() - self.start - seconds) < HOUR, "libfaketime does not move the clock"


class Faults(logging.Handler):
    """Every job and periodic task that failed, and every exception that was logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        if (record.exc_info and record.exc_info[1]) or record.levelno >= logging.ERROR:
            fault = record.exc_info[1] if record.exc_info else ""
            text = re.sub(r"\d+", "N", f"{record.getMessage()} {type(fault).__name__ if fault else ''} {fault}")
            self.found[text[:300]] += 1


@dataclass
class Rehearsal:
    """One shop. `regulars` are customers who signed up, by their address; `open` are browsers that stay signed in."""

    home: Path
    asked: argparse.Namespace
    clock: Clock = field(default_factory=Clock)
    logged: Faults = field(default_factory=Faults)
    customers: dict[str, str] = field(default_factory=dict)  # address → user id
    open: deque[tuple[str, Any, str]] = field(default_factory=lambda: deque(maxlen=40))
    said: Counter[str] = field(default_factory=Counter)
    day: int = 0
    made: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.asked.seed)

    @property
    def faults(self) -> Counter[str]:
        return self.logged.found

    @contextmanager
    def started(self) -> Iterator[Rehearsal]:
        from tests.receivers import receiving

        from regulars.accounts.passwords import PasswordHasher
        from regulars.interfaces.collector.app import Collector

        # A password's hash costs a tenth of a second on purpose, and tells nothing about growth.
        PasswordHasher.time_cost, PasswordHasher.memory_cost, PasswordHasher.parallelism = 1, 8, 1
        logging.getLogger("regulars").addHandler(self.logged)
        logging.getLogger("django.request").addHandler(self.logged)
        self.loop, self.collector = asyncio.new_event_loop(), Collector()
        self.key = json.loads((self.home / "credentials.json").read_text())["collector"]["write_key"]
        with receiving() as receiver:
            self.receiver = receiver
            self._furnish()
            try:
                yield self
            finally:
                self.loop.run_until_complete(self.collector.close())
                self.loop.close()

    def _furnish(self) -> None:
        from tests.oidc.app import make_client

        from regulars.connections.models import Connection
        from regulars.destinations.save import save_destination, save_mapping
        from regulars.questions.question_type import AnswerOption
        from regulars.questions.save import QuestionDraft, save_question
        from regulars.questions.settings import save_settings
        from regulars.rules.save import save_rule
        from regulars.segments.save import save_segment

        Connection.objects.filter(name=CONNECTION).update(enabled=True)
        make_client(APP, grant_types=["authorization_code", "refresh_token"], redirect_uris=[CALLBACK])
        save_rule("visits", script=RULE)
        save_segment("Reachable", 'consent:"message"', "message")
        save_segment("Buyers", 'event:"Order Completed"', "measure")
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        hook = {"url": f"{self.receiver.url}/hook", "secret": secret}
        save_mapping(
            save_destination("Hook", "webhook", hook, purpose="message", segment_slugs=["reachable"]),
            [{"attribute": "email"}, {"attribute": "name"}],
        )
        options = [AnswerOption(each, each.title()) for each in ("female", "male", "other")]
        words = ("gender", "Which gender?", "To fit.", "single_choice", "gender", "personalise")
        save_question(QuestionDraft(*words, options, enabled=True))
        save_settings(days_between=7, min_logins=1)

    def live(self) -> Measured:
        """Live through every day. Returns rows and bytes at the end of each month."""
        measured = Measured()
        for day in range(self.asked.days):
            self.day = day
            self.clock.is_at(self.day * DAY + HOUR)
            self.works()
            self.clock.is_at(self.day * DAY + 9 * HOUR)
            self.trades()
            self.clock.is_at(self.day * DAY + 15 * HOUR)
            self.works()
            self.decides_anew()
            self.clock.is_at(self.day * DAY + 21 * HOUR)
            self.works()
            self.backs_up()
            if self.day % MONTH == MONTH - 1 or self.day == self.asked.days - 1:
                measured.add(self.day + 1, self.home)
                self._looks()
                took = time.monotonic() - self.clock.begun
                print(f"day {self.day + 1}: {took:.0f} s, {dict(self.said)}", file=sys.stderr, flush=True)
        return measured

    def works(self) -> None:
        """Let the worker do what is due by its calendar and its queue, until nothing is."""
        if self.day in WORKER_IS_OFF:
            return
        from django.utils import timezone

        from regulars.base.jobs.models import Job
        from regulars.interfaces.worker.work import work_once

        for _ in range(ROUNDS):
            if not work_once() and not Job.objects.filter(state=Job.State.WAITING, due_at__lte=timezone.now()).exists():
                return
        self.faults["the queue of jobs does not end"] += 1

    def trades(self) -> None:
        """Sign-ups, sign-ins, refreshes and events."""
        for _ in range(min(max(self.asked.sign_ins // 5, 2), 3 * self.asked.sign_ins - len(self.customers))):
            self.signs_up()
        for _ in range(self.asked.sign_ins):
            email = self.random.choice(list(self.customers))
            self.signs_in(email)
        for _ in range(min(self.asked.sign_ins // 2, len(self.open))):
            email, app, token = self.open.popleft()
            answer = app.refresh(token)
            self.said[f"refresh {answer.status_code}"] += 1
            self.said[f"silent {app.answer(prompt='none').get('error', 'signed in')}"] += 1
            if answer.status_code == 200:
                self.open.append((email, app, answer.json()["refresh_token"]))
        self.sends_events()

    def signs_up(self) -> None:
        """By the page and a mail, or by the API."""
        self.made += 1
        email = f"customer-{self.made}@example.com"
        body = {"connection": CONNECTION, "email": email, "password": PASSWORD, "email_verified": True}
        if self.made % 3 == 1 and self.day not in WORKER_IS_OFF:  # without it no mail is sent
            browser = self._browser()
            browser.post("/signup", {"email": email, "password": PASSWORD})
            self.works()
            link = re.search(r"https?://[^/\s]+(/signup/finish\S+)", self._newest_mail())
            if link is None:
                self.faults["a sign-up got no mail"] += 1
                return
            browser.post(link[1])
            from regulars.profiles.models import Profile

            self.customers[email] = Profile.objects.get(account__email=email).user_id
        else:
            answer = self.api("POST", "/v2/users", body)
            self.customers[email] = answer.json()["user_id"]

    def signs_in(self, email: str) -> None:
        from tests.oidc.app import App, query_of

        browser = self._browser()
        browser.post("/login", {"email": email, "password": PASSWORD})
        app = App(browser, APP)
        answer = app.authorize(scope="openid profile email offline_access")
        for _ in range(6):
            if answer.status_code != 302 or answer["Location"].startswith(CALLBACK):
                break
            page = browser.get(answer["Location"])
            if page.status_code == 302:
                answer = page
                continue
            form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.content.decode()))
            chosen = self.random.choice([{"answer": "female"}, {"answer": "male"}, {"do": "pass"}, {"do": "pass"}])
            self.said["question shown"] += 1
            answer = browser.post(answer["Location"], {**form, **chosen})
        code = query_of(answer["Location"]).get("code") if answer.status_code == 302 else None
        if code is None:
            self.faults[f"a sign-in ended with {answer.status_code} {answer.get('Location', '')[:80]}"] += 1
            return
        tokens = app.exchange(code).json()
        browser.get("/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})
        if self.random.random() < LOOKS_AT_OWN_PAGE:
            browser.get("/me")
        self.said["sign-in"] += 1
        self.open.append((email, app, tokens.get("refresh_token", "")))

    def sends_events(self) -> None:
        """A third by visitors, of whom some sign in later."""
        names, messages = list(self.customers), []
        for number in range(self.asked.events):
            who: dict[str, Any] = {"anonymousId": f"browser-{self.random.randrange(self.made * 3)}"}
            if number % 3:
                who = {"userId": self.customers[self.random.choice(names)]}
                if number % 12 == 1:
                    who["anonymousId"] = f"browser-{self.random.randrange(self.made * 3)}"
            event = self.random.choice(["Product Viewed", "Product Viewed", "Order Completed"])
            messages.append(
                {
                    "type": "track",
                    "event": event,
                    "messageId": f"{self.day}-{number}",
                    "properties": {"product_id": f"sku-{number % 50}", "price": number},
                    "context": {"page": {"path": "/jackets"}, "userAgent": "Rehearsal/1.0"},
                    **who,
                }
            )
        for start in range(0, len(messages), 100):
            status = self.loop.run_until_complete(self._collects({"batch": messages[start : start + 100]}))
            self.said[f"batch {status}"] += 1

    async def _collects(self, body: dict[str, Any]) -> int:
        import base64

        sent: list[dict[str, Any]] = []
        content = json.dumps(body).encode()
        key = base64.b64encode(f"{self.key}:".encode())
        headers = [(b"authorization", b"Basic " + key), (b"content-length", str(len(content)).encode())]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/batch", "headers": headers}
        await self.collector(scope, receive, send)
        return int(sent[0]["status"])

    def decides_anew(self) -> None:
        """Yeses, noes, metadata; a link and an erasure every few days."""
        for purpose, action in (("message", "given"), ("personalise", "given"), ("message", "withdrawn")):
            for _ in range(max(self.asked.sign_ins // 20, 1)):
                self.decides(self.random.choice(list(self.customers)), purpose, action)
        name = self.random.choice(list(self.customers))
        self.api("PATCH", self._path(name), {"user_metadata": {"note": f"day {self.day}"}})
        if self.day % 3 == 0 and len(self.customers) > 20:
            first, second = self.random.sample(list(self.customers), 2)
            provider, _, number = self.customers[second].partition("|")
            self.api("POST", f"{self._path(first)}/identities", {"provider": provider, "user_id": number})
            self.customers.pop(second)
        if len(self.customers) > 20:
            gone = self.random.choice(list(self.customers))
            self.api("DELETE", self._path(gone))
            self.customers.pop(gone)
            self.said["erased"] += 1
        browser = self._browser()
        browser.post("/login", {"email": self.random.choice(list(self.customers)), "password": PASSWORD})
        browser.post("/me/advertising", {})

    def decides(self, email: str, purpose: str, action: str) -> None:
        """As the page of the customer does it."""
        from regulars.consent.record import Decision
        from regulars.profiles.find import find_by_user_id
        from regulars.usecases.decide_consent import decide

        profile = find_by_user_id(self.customers[email])
        if profile is None:
            self.faults[f"{email} is unknown"] += 1
            return
        decide(profile, Decision(purpose, action, "profile"))

    def backs_up(self) -> None:
        from regulars.operations.backup import write_backup

        folder = self.home.parent / "backups"
        folder.mkdir(exist_ok=True)
        for _ in write_backup(folder / f"{self.day:05}.backup"):
            pass
        for old in sorted(folder.glob("*.backup"))[: -self.asked.backups]:
            old.unlink()

    def api(self, method: str, path: str, body: Any = None) -> Any:
        from django.test import Client as Browser
        from tests.management_api.conftest import ApiClient

        answer = ApiClient(Browser()).call(method, path, body)
        if answer.status_code >= 400:
            self.faults[f"{method} {path.split('/')[2]} {answer.status_code} {answer.content[:100]!r}"] += 1
        return answer

    def _path(self, email: str) -> str:
        return "/v2/users/" + quote(self.customers[email], safe="")

    def _browser(self) -> Any:
        from django.test import Client as Browser

        network = f"203.0.113.{self.random.randrange(1, 255)}"
        return Browser(REMOTE_ADDR=network, headers={"User-Agent": "Mozilla/5.0 (Rehearsal)"})

    def _newest_mail(self) -> str:
        import quopri

        mails = list((self.home / "mail").glob("*.log"))
        if not mails:
            return ""
        newest = max(mails, key=lambda path: (path.stat().st_mtime_ns, path.name))
        return quopri.decodestring(newest.read_bytes()).decode(errors="replace")

    def _looks(self) -> None:
        """At what failed for good, and at tasks that did not finish in time."""
        from regulars.base.jobs.models import Job
        from regulars.base.jobs.run_jobs import unfinished_tasks
        from regulars.base.jobs.schedule import SCHEDULE

        for kind, error in Job.objects.filter(state=Job.State.FAILED).values_list("kind", "last_error"):
            self.faults[f"job {kind} failed: {error[:100]}"] += 1
        for task in unfinished_tasks({name: max(every, DAY / 3) for name, (every, _) in SCHEDULE.items()}):
            self.faults[f"{task} did not finish in time"] += 1


if __name__ == "__main__":
    main()
