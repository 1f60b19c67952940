"""Start real servers: processes, sockets, a database of their own."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2
import psycopg

from tests.ports import reserve_ports
from tests.tables import copy_tables, postgres_with_tables

ROOT = Path(__file__).parents[1]
# Import path of servers under test: this checkout, without packages that only tests install (tests/absent).
SEEN = os.pathsep.join([str(ROOT / "tests/absent"), str(ROOT)])
START_TIME = 600.0  # seconds of a first start with demo data on a busy machine
ANSWER_TIME = 60.0  # seconds for one response on a busy machine


@dataclass
class Live:
    """A running Regulars."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    environment: dict[str, str]

    @property
    def authority(self) -> Path:
        """The certificate authority when it runs with --https."""
        return self.home / "tls" / "authority.pem"

    @property
    def trust(self) -> ssl.SSLContext | bool:
        """The `verify` of its clients: its authority, or False without https."""
        return ssl.create_default_context(cafile=str(self.authority)) if self.url.startswith("https:") else False

    @property
    def credentials(self) -> dict[str, Any]:
        return json.loads((self.home / "credentials.json").read_text())

    def get(self, path: str, **more: Any) -> httpx2.Response:
        return ask("GET", f"{self.url}{path}", verify=self.trust, **more)

    def post(self, path: str, **more: Any) -> httpx2.Response:
        return ask("POST", f"{self.url}{path}", verify=self.trust, **more)

    def patch(self, path: str, **more: Any) -> httpx2.Response:
        return ask("PATCH", f"{self.url}{path}", verify=self.trust, **more)

    def delete(self, path: str, **more: Any) -> httpx2.Response:
        return ask("DELETE", f"{self.url}{path}", verify=self.trust, **more)

    def stop(self) -> int:
        """Stop it by SIGTERM, as a container runtime does. Returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(ANSWER_TIME)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """Kill all its processes with SIGKILL."""
        for pid in [*descendants(self.process.pid), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(30)

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Query its database from this process."""
        if "DATABASE_URL" in self.environment:
            with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
                return connection.execute(sql.replace("?", "%s"), parameters).fetchall()
        import sqlite3

        with sqlite3.connect(self.home / "regulars.sqlite3", timeout=30) as connection:
            return connection.execute(sql, parameters).fetchall()

    def execute(self, sql: str, *parameters: object) -> None:
        """Write to its database from this process."""
        if "DATABASE_URL" in self.environment:
            with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
                connection.execute(sql.replace("?", "%s"), parameters)
            return
        import sqlite3

        with sqlite3.connect(self.home / "regulars.sqlite3", timeout=30) as connection:
            connection.execute(sql, parameters)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        full = [sys.executable, "-m", "regulars.cli.__main__", *command]
        return subprocess.run(
            full, env=self.environment, capture_output=True, text=True, check=False, timeout=START_TIME
        )


@contextmanager
def regulars(home: Path, *options: str, database_url: str | None = None, **environment: str) -> Iterator[Live]:
    """Run `regulars start` on free ports until the end of the block."""
    port = reserve_ports(3)
    live = start(home, port, *options, database_url=database_url, **environment)
    try:
        yield live
    finally:
        live.stop()


def start(home: Path, port: int, *options: str, database_url: str | None = None, **more: str) -> Live:
    """Start it and wait until it answers. A home folder without a database gets one with tables."""
    if not database_url and "DATABASE_URL" not in more:
        copy_tables(home)
    live = launch(home, port, *options, database_url=database_url, **more)
    wait_until_ready(live)
    return live


def launch(home: Path, port: int, *options: str, database_url: str | None = None, **more: str) -> Live:
    """Start it without waiting. In an empty home folder this is a first start, with all migrations."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("REGULARS_", "DATABASE_", "DJANGO_"))
    }
    environment = {**inherited, "REGULARS_HOME": str(home), "PYTHONPATH": SEEN, **more}
    if database_url:
        environment["DATABASE_URL"] = database_url
    command = [sys.executable, "-m", "regulars.cli.__main__", "start", "--port", str(port), *options]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "log").open("ab") as log:
        process = spawn(command, env=environment, stdout=log, stderr=log, cwd=ROOT)
    scheme = "https" if "--https" in options else "http"
    return Live(f"{scheme}://localhost:{port}", home, process, environment)


def wait_until_ready(live: Live) -> None:
    try:
        wait_for(live.process, f"{live.url}/healthz", lambda: live.trust)
    except Exception as error:
        live.kill()
        raise AssertionError((live.home / "log").read_text()) from error


@contextmanager
def run_mock_service(app: str, host: str = "127.0.0.1", **environment: str) -> Iterator[str]:
    """Run an app of `examples/mock_services` in a process. Yields its address."""
    port = reserve_ports()
    url = f"http://{host}:{port}"
    serve = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--log-level", "error"]
    process = spawn(
        [*serve, "--port", str(port), f"examples.mock_services.{app}:app"],
        cwd=ROOT,
        env={**os.environ, "MOCK_SERVICES_URL": url, **environment},
    )
    try:
        wait_for(process, url)
        yield url
    finally:
        process.terminate()
        process.wait(ANSWER_TIME)


def spawn(command: list[str], **more: Any) -> subprocess.Popen[bytes]:
    """Start a process that is stopped when this one ends, also after a broken run."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], **more)


def wait_for(process: subprocess.Popen[bytes], url: str, trust: Callable[[], Any] = lambda: False) -> None:
    """Wait until the URL answers with a status below 500."""
    deadline = time.monotonic() + START_TIME
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{url}: ended with {process.returncode}"
        with suppress(httpx2.HTTPError, FileNotFoundError):  # its certificate does not exist yet
            if ask("GET", url, timeout=2, verify=trust()).status_code < 500:
                return
        time.sleep(0.1)
    raise AssertionError(f"{url}: not ready in time")


def ask(method: str, url: str, **more: Any) -> httpx2.Response:
    """Send a request to a server of this machine, without reading the system's certificates, which is slow."""
    return httpx2.request(method, url, **{"timeout": ANSWER_TIME, "trust_env": False, "verify": False, **more})


@contextmanager
def own_database(*, empty: bool = False) -> Iterator[str | None]:
    """Yield the URL of a fresh PostgreSQL database when the suite runs on PostgreSQL, else None (SQLite in the home).

    It has the tables of this version, or none when it is `empty`.
    """
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        yield None
        return
    name = f"regulars_{uuid.uuid4().hex[:12]}"
    template = "template1" if empty else postgres_with_tables(url)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def descendants(pid: int) -> list[int]:
    """Return the ids of all descendants of a process, from /proc."""
    parents = {int(entry.name): _parent(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found, layer = [], [pid]
    while layer:
        layer = [child for child, parent in parents.items() if parent in layer]
        found += layer
    return found


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def memory_of(pids: list[int]) -> int:
    """Return the memory of processes in bytes, with shared pages counted once (PSS)."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total
