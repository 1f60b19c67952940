"""What ten rules add to a login, two of which ask a third party and wait: when it is slow, down, hangs or answers garbage.

A login is /authorize with a live session until the app's code is there; one granian worker, SQLite with every commit on
disk. The owner lets each of the two rules wait half a second. Every state is measured in turns with logins that have no
rule; a login that does not end in a code ends the benchmark. The last line holds the median login without rules against
the one with ten rules and a third party that takes a tenth of a second: higher is better, 1 would be rules that cost nothing.

`--quick` takes 2 rounds of 8 logins a state instead of 4 rounds of 25.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.ports import refusing

from benchmarks._provider import CUSTOMER, Task, ours
from benchmarks._run import is_quick

TIMEOUT = 0.5  # seconds
SLOW = 0.1  # seconds
STATES = ("without rules", "slow", "down", "hanging", "garbage")
PLAIN = """function (user, context, callback) {
  context.idToken['https://shop.example/claim-%d'] = (user.email || '').split('@')[1] || 'unknown';
  callback(null, user, context);
}"""
# One breaks over the fault and is passed over, one goes on by itself. (`callback(error)` would end the login, as at Auth0.)
ASKS = """function (user, context, callback) {
  request({ url: configuration.PARTNER + '/person', json: true }, function (error, response, body) {
    if (error) throw error;
    context.idToken['https://shop.example/tier'] = body.tier.toUpperCase();
    callback(null, user, context);
  });
}"""
ASKS_AND_GOES_ON = """async function (user, context, callback) {
  try {
    const answer = await require('axios').get(configuration.PARTNER + '/score');
    context.idToken['https://shop.example/score'] = answer.data.score;
  } catch (error) { console.log('no score: ' + error.message); }
  callback(null, user, context);
}"""
ANSWER = b'{"tier": "gold", "score": 7}'


@dataclass
class ThirdParty:
    """A third-party server that behaves as `state` names. Each state is another server: one that hung before is left
    alone for a while, also after it has mended."""

    state: str
    port: int = 0
    held: list[socket.socket] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[ThirdParty]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
            threading.Thread(target=self._accept, args=(server,), daemon=True).start()
            yield self
        for connection in self.held:
            connection.close()

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        if self.state == "hanging":
            self.held.append(connection)
            return
        with connection, suppress(OSError):
            connection.recv(65536)
            if self.state == "garbage":
                connection.sendall(os.urandom(300) + b"\n<html>\x00")
                return
            time.sleep(SLOW)
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n"
            connection.sendall(head.encode() + ANSWER)


def main() -> None:
    rounds, logins = (2, 8) if is_quick() else (4, 25)
    with (
        tempfile.TemporaryDirectory(prefix="regulars-bench-") as home,
        ThirdParty("slow").running() as slow,
        ThirdParty("hanging").running() as hanging,
        ThirdParty("garbage").running() as garbage,
        refusing() as down,
        ours(Path(home), "exchange", CUSTOMER, {"REGULARS_ALLOW_HOSTS": "127.0.0.1"}) as side,
    ):
        ports = {each.state: each.port for each in (slow, hanging, garbage)}
        ports["down"] = int(down.rpartition(":")[2])
        measured = measure(side.task, Path(home), ports, rounds, logins)
    report(measured)


def measure(
    task: Task, home: Path, ports: dict[str, int], rounds: int, logins: int
) -> dict[str, tuple[list[float], Counter[str]]]:
    """State → (milliseconds of every login, how each of the two rules that ask ended)."""
    from_here(home)
    from regulars.rules.models import RuleRun

    lay_down_rules()
    connection = HTTPConnection("127.0.0.1", task["port"], timeout=30)
    found: dict[str, tuple[list[float], Counter[str]]] = {state: ([], Counter()) for state in STATES}
    set_state("slow", ports)
    for _ in range(5):
        log_in(connection, task)  # what a process does once is not a login's
    for number in range(rounds):
        for state in STATES:
            set_state(state, ports)
            RuleRun.objects.all().delete()
            times, faults = found[state]
            times += [log_in(connection, task) for _ in range(logins)]
            for run in RuleRun.objects.all():
                faults.update(name_of(step) for step in run.steps if step["rule"].startswith("asks"))
        print(f"round {number + 1} of {rounds}: " + ", ".join(f"{s} {median(found[s][0]):,.0f} ms" for s in STATES))
    return found


def report(measured: dict[str, tuple[list[float], Counter[str]]]) -> None:
    bare = sorted(measured["without rules"][0])
    for state, (times, faults) in measured.items():
        p50, p95 = at(times, 0.5), at(times, 0.95)
        added = (
            ""
            if state == "without rules"
            else f", added p50 {p50 - at(bare, 0.5):,.0f} ms, p95 {p95 - at(bare, 0.95):,.0f} ms"
        )
        ends = ", ".join(f"{name} {count}" for name, count in faults.most_common())
        print(
            f"{state}: {len(times)} logins, all with a code, p50 {p50:,.0f} ms, p95 {p95:,.0f} ms, slowest {max(times):,.0f} ms{added}{ends and f' ({ends})'}"
        )
    without, with_rules = median(bare), median(measured["slow"][0])
    words = f"{without:.0f} ms for a login / {with_rules:.0f} ms with ten rules, two asking a third party that takes {SLOW * 1000:.0f} ms"
    print(f"login-with-rules ratio={without / with_rules:.3f} {words}")


def from_here(home: Path) -> None:
    """Look into the same database as the server."""
    os.environ |= {"REGULARS_HOME": str(home), "DJANGO_SETTINGS_MODULE": "regulars.settings"}
    import django

    django.setup()


def lay_down_rules() -> None:
    from regulars.rules.save import save_rule

    for number in range(8):
        save_rule(f"Plain {number}", script=PLAIN % number)
    save_rule("Asks", script=ASKS, timeout=TIMEOUT)
    save_rule("Asks and goes on", script=ASKS_AND_GOES_ON, timeout=TIMEOUT)


def set_state(state: str, ports: dict[str, int]) -> None:
    from regulars.rules.models import Rule
    from regulars.rules.save import set_setting

    set_setting("PARTNER", f"http://127.0.0.1:{ports.get(state, ports['down'])}")
    Rule.objects.update(enabled=state != "without rules", limit_hits=0)


def log_in(connection: HTTPConnection, task: Task) -> float:
    """One login; how many milliseconds until the app has its code."""
    asked = {
        "client_id": task["clientId"],
        "redirect_uri": task["callback"],
        "response_type": "code",
        "scope": "openid profile email",
        "state": "s",
        "code_challenge": "v" * 43,
        "code_challenge_method": "S256",
    }
    begun = time.perf_counter()
    headers = {"Host": f"localhost:{task['port']}", "Cookie": task["cookie"]}
    connection.request("GET", f"/authorize?{urlencode(asked)}", headers=headers)
    answer = connection.getresponse()
    answer.read()
    took = (time.perf_counter() - begun) * 1000
    if "code" not in parse_qs(urlsplit(answer.headers.get("Location", "")).query):
        sys.exit(f"a login ended without a code: {answer.status} {answer.headers.get('Location')}")
    return took


def name_of(step: dict[str, str]) -> str:
    """`done`, or the fault's name."""
    return step["fault"] or step["how"]


def at(times: list[float], share: float) -> float:
    return sorted(times)[min(int(len(times) * share), len(times) - 1)]


if __name__ == "__main__":
    main()
