"""Authorization code exchanges per second: ours against npm oidc-provider, interleaved in one run.

Both sides do the same round: /authorize with a live session, then the code for a signed ID token and a signed access
token (RS256, 2048 bits). Ours is one granian worker on SQLite with every commit on disk, and each round is a login that
is counted, recorded as an event and shown to segments. Theirs keeps everything in memory on one core. Higher is better.

`--quick` takes two short rounds a side instead of five longer ones.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MODULES = ROOT / ".cache" / "benchmarks"
THEIRS = ROOT / "benchmarks" / "oidc_provider"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CONNECTIONS = 8
# A customer with a session, as the sign-in pages leave her.
SESSION = """
import django, time
django.setup()
from django.contrib.sessions.backends.db import SessionStore
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Account
profile, _ = get_or_create_by_identity("auth0", "chika", connection="Username-Password-Authentication")
learn(profile, [NewFact("name", "Chika Okafor", "declared", "app:benchmark"),
                NewFact("email", "chika@example.com", "declared", "app:benchmark")])
profile.account = account = Account.objects.create_user(email="chika@example.com")
profile.save()
session = SessionStore()
session["_auth_user_id"] = str(account.pk)
session["_auth_user_backend"] = "allauth.account.auth_backends.AuthenticationBackend"
session["_auth_user_hash"] = account.get_session_auth_hash()
session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
session["account_authentication_methods_user"] = str(account.pk)
session.save()
print(session.session_key)
"""


@dataclass(frozen=True)
class Side:
    """One server under load."""

    name: str
    port: int
    authorize: str
    token: str
    client: dict[str, str]
    cookie: str

    def task(self, seconds: float) -> str:
        return json.dumps(
            {
                "host": f"localhost:{self.port}",
                "port": self.port,
                "authorize": self.authorize,
                "token": self.token,
                "clientId": self.client["client_id"],
                "clientSecret": self.client["client_secret"],
                "callback": self.client["callback"],
                "cookie": self.cookie,
                "challenge": CHALLENGE,
                "verifier": VERIFIER,
                "connections": CONNECTIONS,
                "seconds": seconds,
            }
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds, seconds, warm = (2, 3.0, 1.0) if parser.parse_args().quick else (5, 8.0, 5.0)
    install()
    with (
        tempfile.TemporaryDirectory(prefix="regulars-bench-") as home,
        ours(Path(home)) as us,
        theirs(us.client) as them,
    ):
        rates = measure([us, them], rounds, seconds, warm)
    us_rate, them_rate = (statistics.median(rates[name]) for name in ("ours", "theirs"))
    words = f"{us_rate:.0f} logins/s on one granian worker and SQLite / {them_rate:.0f} of oidc-provider in memory"
    print(f"code-exchange ratio={us_rate / them_rate:.2f} {words}")


def measure(sides: list[Side], rounds: int, seconds: float, warm: float) -> dict[str, list[float]]:
    """Exchanges per second of each round, the sides taking turns so that a busy minute meets both."""
    for side in sides:
        load(side, warm)
    rates: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(rounds):
        for side in sides:
            rates[side.name].append(load(side, seconds))
            print(f"round {number + 1}: {side.name} {rates[side.name][-1]:.1f}/s", flush=True)
    return rates


def load(side: Side, seconds: float) -> float:
    done = subprocess.run(
        ["node", "load.mjs", side.task(seconds)],
        cwd=MODULES,
        capture_output=True,
        text=True,
        preexec_fn=on_core(1),
    )
    if done.returncode:
        sys.exit(f"{side.name} failed under load:\n{done.stderr}")
    answer = json.loads(done.stdout)
    return float(answer["count"] / answer["seconds"])


def install() -> None:
    """Their packages, by the lock file, beside the virtual environment; once per change of the lock."""
    MODULES.mkdir(parents=True, exist_ok=True)
    lock = (ROOT / "benchmarks" / "package-lock.json").read_text()
    installed = MODULES / "installed.lock"
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "benchmarks" / name, MODULES)
    for script in THEIRS.glob("*.mjs"):
        shutil.copy(script, MODULES)
    if not installed.exists() or installed.read_text() != lock:
        command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel", "error"]
        subprocess.run(command, cwd=MODULES, check=True)
        installed.write_text(lock)


@contextmanager
def ours(home: Path) -> Iterator[Side]:
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REGULARS_", "DATABASE_"))}
    environment = {
        **kept,
        "REGULARS_HOME": str(home),
        "REGULARS_URL": f"http://localhost:{port}",
        "DJANGO_SETTINGS_MODULE": "regulars.config.settings",
    }
    set_up = [sys.executable, "-m", "regulars.config.cli", "setup", "--no-demo", "--port", str(port)]
    subprocess.run(set_up, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--no-ws", "--log-level", "warning"]
    command += ["--host", "127.0.0.1", "--port", str(port), "regulars.config.asgi:application"]
    with running(command, environment, ROOT) as process:
        wait(lambda: is_answering(f"http://127.0.0.1:{port}/healthz"), process)
        made = subprocess.run(
            [sys.executable, "-c", SESSION], env=environment, capture_output=True, text=True, check=True
        )
        client = json.loads((home / "credentials.json").read_text())["shop"]
        cookie = f"regulars_session={made.stdout.split()[-1]}"
        yield Side("ours", port, "/authorize", "/oauth/token", client, cookie)


@contextmanager
def theirs(client: dict[str, str]) -> Iterator[Side]:
    port = free_port()
    command = ["node", "server.mjs", str(port), client["client_id"], client["client_secret"], client["callback"]]
    with running(command, dict(os.environ), MODULES) as process:
        wait(lambda: is_answering(f"http://127.0.0.1:{port}/.well-known/openid-configuration"), process)
        side = Side("theirs", port, "/auth", "/token", client, "")
        yield Side(**{**vars(side), "cookie": cookie_of_their_session(side)})


def cookie_of_their_session(side: Side) -> str:
    """Go through their interaction once, as a browser would, and keep what it set."""
    cookies: dict[str, str] = {}
    query = (
        f"client_id={side.client['client_id']}&redirect_uri={side.client['callback']}&response_type=code"
        f"&scope=openid+profile+email&code_challenge={CHALLENGE}&code_challenge_method=S256"
    )
    path = f"{side.authorize}?{query}"
    for _ in range(5):
        connection = HTTPConnection("127.0.0.1", side.port, timeout=10)
        headers = {"Host": f"localhost:{side.port}", "Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            cookies[name] = value
        location = answer.headers.get("Location", "")
        if location.startswith(side.client["callback"]):
            session = {name: value for name, value in cookies.items() if name.startswith("_session")}
            return "; ".join(f"{name}={value}" for name, value in session.items())
        path = location.removeprefix(f"http://localhost:{side.port}")
    sys.exit("oidc-provider gave no session")


@contextmanager
def running(command: list[str], environment: dict[str, Any], where: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program on the first core, in a session of its own, ended with all its children."""
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=where,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=on_core(0),
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def on_core(number: int) -> Any:
    """Server and load apart, where there are two cores to keep them apart on."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        return None
    return lambda: os.sched_setaffinity(0, {cores[number]})


def wait(is_ready: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{process.args!r} ended before it was ready")
        if is_ready():
            return
        time.sleep(0.1)
    sys.exit(f"{process.args!r} was not ready in time")


def is_answering(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
