"""The stand-ins in a process of their own, once per run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.live import ROOT, free_ports


@pytest.fixture(scope="session")
def standins() -> Iterator[str]:
    """Their address."""
    port = free_ports(1)
    url = f"http://localhost:{port}"
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "examples.standins.app:app"],
        cwd=ROOT,
        env={**os.environ, "STANDINS_URL": url, "STANDINS_CALLBACK": "http://localhost:8000/login/callback"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/healthz", timeout=2).status_code == 200:
                break
        time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(20)
