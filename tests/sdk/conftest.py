"""A real server behind https, apps that use unmodified third-party SDKs, and a browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.conftest import page  # noqa: F401 - a fixture
from tests.live import ANSWER_TIME, ROOT, Live, own_database, spawn, start
from tests.ports import reserve_ports
from tests.workers import once_in_a_run

from .furnish import IN_THE_BROWSER
from .pages import MODULES, pages
from .tls import Certificate, make_certificate, tls_in_front

HERE = Path(__file__).parent
FURNISH = (
    "import django, json, sys; django.setup(); from tests.sdk.furnish import main;"
    "print(json.dumps(main(**json.loads(sys.argv[1]))))"
)
IN_NODE = ("openid-client", "express", "express-id-token")


@dataclass(frozen=True)
class Town:
    """The server, the apps around it, and the certificate to trust."""

    live: Live
    url: str
    certificate: Certificate
    origins: dict[str, str]
    clients: dict[str, dict[str, str]]

    def mailed(self, to: str, pattern: str) -> str:
        """Return the match in the last mail to an address; empty while there is none."""
        found = sorted((self.live.home / "mail").glob("*"), key=lambda each: each.stat().st_mtime, reverse=True)
        for mail in (each.read_text() for each in found):
            if f"To: {to}" in mail and (match := re.search(pattern, mail)):
                return match[0]
        return ""

    @property
    def issuer(self) -> str:
        return self.url + "/"

    def client(self) -> httpx2.Client:
        """Return an HTTP client that trusts the certificate."""
        return httpx2.Client(verify=self.certificate.client_context(), timeout=ANSWER_TIME)


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One server for all tests of this folder, with the Node apps beside it."""
    assert MODULES.is_dir(), "The SDKs are not installed: scripts/test does it (npm ci in tests/sdk)."
    once_in_a_run("the-town", tmp_path_factory)
    folder = tmp_path_factory.mktemp("town")
    first = reserve_ports(8)
    certificate = make_certificate(folder)
    url = f"https://localhost:{first + 1}"
    origins = {name: f"https://localhost:{first + 2 + number}" for number, name in enumerate((*IN_NODE, "authlib"))}
    origins |= dict.fromkeys(IN_THE_BROWSER, f"https://localhost:{first + 6}")
    upstream = f"http://localhost:{first + 7}"
    with ExitStack() as stack:
        environment = {"REGULARS_URL": url, "REGULARS_ALLOW_HOSTS": "localhost"}
        database_url = stack.enter_context(own_database())
        live = start(folder / "home", first, "--no-demo", database_url=database_url, **environment)
        stack.callback(live.stop)
        stack.enter_context(tls_in_front(certificate, first + 1, first))
        clients = furnish(live, {"apps": origins, "upstream": upstream})
        clients["management"] = live.credentials["management"]
        town = Town(live, url, certificate, origins, clients)
        stack.enter_context(node(town, "upstream.mjs", upstream, f"{url}/login/callback"))
        for name in IN_NODE:
            stack.enter_context(node(town, f"{name.replace('-', '_')}.mjs", origins[name]))
        config = {"domain": url.removeprefix("https://"), "clients": {name: clients[name] for name in IN_THE_BROWSER}}
        stack.enter_context(pages(certificate, first + 6, config, folder))
        yield town


def furnish(live: Live, wanted: dict[str, Any]) -> dict[str, dict[str, str]]:
    environment = {**live.environment, "DJANGO_SETTINGS_MODULE": "regulars.settings"}
    command = [sys.executable, "-c", FURNISH, json.dumps(wanted)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def node(town: Town, script: str, origin: str, *more: str) -> Iterator[None]:
    """Run one of the Node apps at `origin`."""
    task = {
        "issuer": town.issuer,
        "origin": origin,
        "clients": town.clients,
        "certificate": str(town.certificate.chain),
        "key": str(town.certificate.key),
        "more": more,
    }
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(town.certificate.authority)}
    log = town.live.home / f"{script}.log"
    with log.open("wb") as output:
        command = ["node", str(HERE / "apps" / script), json.dumps(task)]
        process = spawn(command, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while b"ready" not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def person(chromium: Browser) -> Iterator[BrowserContext]:
    """The browser context of one person; it accepts the certificate for localhost."""
    context = chromium.new_context(ignore_https_errors=True)
    context.set_default_timeout(30_000)
    yield context
    context.close()
