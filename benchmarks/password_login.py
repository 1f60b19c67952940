"""Password logins per second on one core: the whole `POST /login` of a running server against bare Argon2 verification.

Both sides verify the same hash at the cost of an installation, on the same core, in turns. Ours adds everything a login is: HTTP, the
form's token, limits counted on disk, the session, the list of devices. A ratio of 1 would be a login that costs nothing
beyond the hash; the lines before the last say what it costs in milliseconds of processor time.

What a login costs beyond the hash is the small difference of two large numbers, so it wants a quiet machine. Without any
hash the same request takes 2.1 ms in one process: 12 statements and three commits (the attempt that is counted, the login,
the session). Behind a hash, which has just driven everything else out of the processor's caches with its 64 MiB, it takes
about twice that, and granian's part comes on top: 5.6 ms and a ratio of 0.94 when little else ran.

`--quick` takes two short rounds a side instead of five longer ones.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from benchmarks._run import cpu_of, in_turns, is_quick, tell
from benchmarks._server import RegularsServer, regulars_server, running

PASSWORD = "a few words in a row"
CUSTOMERS = 200  # each signs in a few times only, as people do
FURNISH = f"""
import django
django.setup()
from django.contrib.auth.hashers import make_password
from regulars.usecases.complete_social_login import sign_up
from regulars.connections.models import Connection
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
        regulars_server(Path(home), FURNISH) as server,
        bare(server.said.split()[-1]) as them,
    ):
        us = Browser(server)
        us.sign_in_for(2.0)
        ask(them, 1.0)
        us_rate, them_rate = in_turns(
            lambda: noted("ours", us.sign_in_for(seconds)), lambda: noted("bare", ask(them, seconds)), rounds
        )
    login, hash_ = (1000 * median(costs[name]) for name in ("ours", "bare"))
    print(f"processor time: {login:.1f} ms a login, {hash_:.1f} ms the hash alone, {login - hash_:.1f} ms beyond it")
    tell("password-login", us_rate, them_rate, "{ours:.2f} logins/s / {theirs:.2f} bare verifications/s, one core each")


class Browser:
    """Signs customers in, one after the other."""

    def __init__(self, server: RegularsServer) -> None:
        self.port, self.process = server.port, server.process
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


if __name__ == "__main__":
    main()
