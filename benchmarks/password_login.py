"""Password logins per second on one core: the whole `POST /login` of a running server against bare Argon2 verification.

Both sides verify the same hash at the house's cost, on the same core, in turns. Ours adds everything a login is: HTTP, the
form's token, limits counted on disk, the session, the list of devices. A ratio of 1 would be a login that costs nothing
beyond the hash; the lines before the last say what it costs in milliseconds of processor time.

`--quick` takes two short rounds a side instead of five longer ones.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

from benchmarks._run import cpu_of, free_port, in_turns, is_quick, tell

ROOT = Path(__file__).parents[1]
PASSWORD = "a few words in a row"
CUSTOMERS = 200  # each signs in a few times only, as people do
FURNISH = f"""
import django
django.setup()
from django.contrib.auth.hashers import make_password
from regulars.flows.arrive import sign_up
from regulars.profiles.models import Connection
name = "Username-Password-Authentication"
Connection.objects.update_or_create(name=name, defaults={{"strategy": "auth0", "display_name": "E-mail", "enabled": True}})
hashed = make_password({PASSWORD!r})
for number in range({CUSTOMERS}):
    sign_up(f"customer{{number}}@example.com", hashed, name)
print(hashed)
"""
BARE = """
import json, sys, time
import argon2
hashed, password = sys.argv[1].removeprefix("argon2"), sys.argv[2]
hasher = argon2.PasswordHasher()
for line in sys.stdin:
    until, count, cpu = time.monotonic() + float(line), 0, time.process_time()
    begun = time.monotonic()
    while time.monotonic() < until:
        hasher.verify(hashed, password)
        count += 1
    print(json.dumps([count / (time.monotonic() - begun), (time.process_time() - cpu) / count]), flush=True)
"""


def main() -> None:
    rounds, seconds = (2, 4.0) if is_quick() else (5, 10.0)
    costs: dict[str, list[float]] = {"ours": [], "bare": []}

    def noted(name: str, measured: tuple[float, float]) -> float:
        rate, cost = measured
        costs[name].append(cost)
        return rate

    with (
        tempfile.TemporaryDirectory(prefix="regulars-bench-") as home,
        server(Path(home)) as us,
        bare(us.hashed) as them,
    ):
        us.sign_in_for(2.0)
        ask(them, 1.0)
        us_rate, them_rate = in_turns(
            lambda: noted("ours", us.sign_in_for(seconds)), lambda: noted("bare", ask(them, seconds)), rounds
        )
    login, hash_ = (1000 * median(costs[name]) for name in ("ours", "bare"))
    print(f"processor time: {login:.1f} ms a login, {hash_:.1f} ms the hash alone, {login - hash_:.1f} ms beyond it")
    tell("password-login", us_rate, them_rate, "{ours:.2f} logins/s / {theirs:.2f} bare verifications/s, one core each")


class Server:
    """One granian worker on the first core, and a browser that signs customers in."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], hashed: str) -> None:
        self.port, self.process, self.hashed = port, process, hashed
        self.customers = cycle(range(CUSTOMERS))

    def sign_in_for(self, seconds: float) -> tuple[float, float]:
        """Logins per second, and seconds of processor time each."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        token, cookie = self._form(connection)
        headers = {"Host": f"localhost:{self.port}", "Cookie": cookie}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        used, begun, count = cpu_of(self.process.pid), time.monotonic(), 0
        while time.monotonic() < begun + seconds:
            email = f"customer{next(self.customers)}@example.com"
            form = {"csrfmiddlewaretoken": token, "email": email, "password": PASSWORD}
            connection.request("POST", "/login", urlencode(form), headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 302:
                sys.exit(f"a login was answered with {answer.status}")
            count += 1
        took = time.monotonic() - begun
        return count / took, (cpu_of(self.process.pid) - used) / count

    def _form(self, connection: HTTPConnection) -> tuple[str, str]:
        connection.request("GET", "/login", headers={"Host": f"localhost:{self.port}"})
        answer = connection.getresponse()
        page = answer.read().decode()
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        if found is None:
            sys.exit(f"the sign-in page was answered with {answer.status}: {page[:300]}")
        return found[1], str(answer.headers["Set-Cookie"]).partition(";")[0]


@contextmanager
def server(home: Path) -> Iterator[Server]:
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REGULARS_", "DATABASE_"))}
    environment = {
        **kept,
        "REGULARS_HOME": str(home),
        "REGULARS_URL": f"http://localhost:{port}",
        "DJANGO_SETTINGS_MODULE": "regulars.config.settings",
    }
    python = [sys.executable]
    set_up = [*python, "-m", "regulars.config.cli", "setup", "--no-demo", "--port", str(port)]
    subprocess.run(set_up, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    made = subprocess.run([*python, "-c", FURNISH], env=environment, capture_output=True, text=True, check=True)
    command = [*python, "-m", "granian", "--interface", "asgi", "--no-ws", "--log-level", "warning"]
    command += ["--host", "127.0.0.1", "--port", str(port), "regulars.config.asgi:application"]
    with running(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        wait_for(port, process)
        yield Server(port, process, made.stdout.split()[-1])


@contextmanager
def bare(hashed: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", BARE, hashed, PASSWORD]
    with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process


def ask(process: subprocess.Popen[bytes], seconds: float) -> tuple[float, float]:
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{seconds}\n".encode())
    process.stdin.flush()
    rate, cost = json.loads(process.stdout.readline())
    return float(rate), float(cost)


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, preexec_fn=on_first_core, stderr=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def on_first_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit("the server ended before it was ready")
        with suppress(OSError):
            connection = HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    sys.exit("the server was not ready in time")


if __name__ == "__main__":
    main()
