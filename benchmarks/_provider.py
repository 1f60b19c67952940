"""Our provider and npm oidc-provider side by side, under the same load in turns.

Ours is one granian worker on SQLite in a home of its own, with every commit on disk. Theirs keeps everything in memory in
one Node process, by the versions of `package-lock.json`. Both servers run on the first core and the load on the second.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

from tests.ports import reserve_ports

from benchmarks._run import cpu_of, in_turns, is_quick, tell
from benchmarks._server import ROOT, on_core, regulars_server, running, wait

MODULES = ROOT / ".cache" / "benchmarks"
THEIRS = ROOT / "benchmarks" / "oidc_provider"
CONNECTIONS = 8
Task = dict[str, Any]
# A customer with a session, as the sign-in pages leave it.
CUSTOMER = """
import django, json, time
django.setup()
from regulars.consent.refresh import refresh_views
from regulars.profiles.find import get_or_create_by_identity
from regulars.profiles.learn import NewFact, learn
from regulars.profiles.models import Account
from regulars.serving.session_store import SessionStore
profile, _ = get_or_create_by_identity("auth0", "chika", connection="Username-Password-Authentication")
learn(profile, [NewFact("name", "Chika Okafor", "declared", "app:benchmark"),
                NewFact("email", "chika@example.com", "declared", "app:benchmark")])
refresh_views(profile)
profile.account = account = Account.objects.create_user(email="chika@example.com")
profile.save()
session = SessionStore()
session["_auth_user_id"] = str(account.pk)
session["_auth_user_backend"] = "allauth.account.auth_backends.AuthenticationBackend"
session["_auth_user_hash"] = account.get_session_auth_hash()
session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
session["account_authentication_methods_user"] = str(account.pk)
session.save()
print(json.dumps({"cookie": f"regulars_session={session.session_key}"}))
"""
# The app that both sides serve.
SHOP = """
import django, json
django.setup()
from django.conf import settings
from regulars.clients.register import ClientSpec, register
shop, secret = register(ClientSpec("Shop", redirect_uris=["http://localhost:3000/callback"]))
made = {"client_id": shop.pk, "client_secret": secret, "callback": shop.redirect_uris[0]}
(settings.HOME / "shop.json").write_text(json.dumps(made))
"""


@dataclass
class Side:
    """One server under load. `task` is what `load.mjs` reads; `costs` are seconds of processor time an operation."""

    name: str
    process: subprocess.Popen[bytes]
    task: Task
    costs: list[float] = field(default_factory=list)

    def load(self, seconds: float) -> float:
        """Operations per second."""
        used = cpu_of(self.process.pid)
        command = ["node", "load.mjs", json.dumps({**self.task, "seconds": seconds})]
        done = subprocess.run(command, cwd=MODULES, capture_output=True, text=True, preexec_fn=on_core(1))
        if done.returncode:
            sys.exit(f"{self.name} failed under load:\n{done.stderr}")
        answer = json.loads(done.stdout)
        self.costs.append((cpu_of(self.process.pid) - used) / answer["count"])
        return float(answer["count"] / answer["seconds"])


def compare(name: str, operation: str, furnish: str, words: str, *, access_tokens: str = "jwt") -> None:
    """Measure one of `load.mjs`'s operations on both sides and print the last line (`words` as for `tell`).

    `furnish` is a program that lays down what ours needs and prints as JSON what the app must know. `access_tokens` is
    theirs alone: `jwt`, or `opaque` where they take no others.
    """
    rounds, seconds, warm = (2, 3.0, 1.0) if is_quick() else (5, 8.0, 5.0)
    install()
    with (
        tempfile.TemporaryDirectory(prefix="regulars-bench-") as home,
        ours(Path(home), operation, furnish) as us,
        theirs(us.task, access_tokens) as them,
    ):
        for side in (us, them):
            side.load(warm)
            side.costs.clear()
        rates = in_turns(lambda: us.load(seconds), lambda: them.load(seconds), rounds)
    mine, other = (1000 * median(side.costs) for side in (us, them))
    print(f"processor time an operation: ours {mine:.2f} ms, theirs {other:.2f} ms")
    tell(name, *rates, words)


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
def ours(home: Path, operation: str, furnish: str, more: dict[str, str] | None = None) -> Iterator[Side]:
    """`more` is what else the server's environment holds."""
    with regulars_server(home, SHOP + furnish, more) as us:
        shop = json.loads((home / "shop.json").read_text())
        task = {
            "operation": operation,
            "connections": CONNECTIONS,
            "port": us.port,
            "authorize": "/authorize",
            "token": "/oauth/token",
            "userinfo": "/userinfo",
            "clientId": shop["client_id"],
            "clientSecret": shop["client_secret"],
            "callback": shop["callback"],
            **json.loads(us.said.splitlines()[-1]),
        }
        yield Side("ours", us.process, task)


@contextmanager
def theirs(task: Task, access_tokens: str) -> Iterator[Side]:
    """The same app asks them, at their addresses."""
    port = reserve_ports()
    command = ["node", "server.mjs", str(port), task["clientId"], task["clientSecret"], task["callback"], access_tokens]
    with running(command, cwd=MODULES, stdout=subprocess.DEVNULL) as process:
        wait(f"http://127.0.0.1:{port}/.well-known/openid-configuration", process)
        addresses = {"port": port, "authorize": "/auth", "token": "/token", "userinfo": "/me"}
        at_theirs = {**task, **addresses}
        if "cookie" in task:
            at_theirs["cookie"] = cookie_of_their_session(at_theirs)
        yield Side("theirs", process, at_theirs)


def cookie_of_their_session(task: Task) -> str:
    """Go through their interaction once, as a browser would, and keep what it set."""
    cookies: dict[str, str] = {}
    path = (
        f"{task['authorize']}?client_id={task['clientId']}&redirect_uri={task['callback']}&response_type=code"
        f"&scope=openid+profile+email&code_challenge={'v' * 43}&code_challenge_method=S256"
    )
    for _ in range(5):
        connection = HTTPConnection("127.0.0.1", task["port"], timeout=10)
        headers = {"Host": f"localhost:{task['port']}", "Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            cookies[name] = value
        location = answer.headers.get("Location", "")
        if location.startswith(task["callback"]):
            session = {name: value for name, value in cookies.items() if name.startswith("_session")}
            return "; ".join(f"{name}={value}" for name, value in session.items())
        path = location.removeprefix(f"http://localhost:{task['port']}")
    sys.exit("oidc-provider gave no session")
