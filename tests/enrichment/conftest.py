from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from regulars.enrichment.save import save_source
from regulars.profiles.learn import NewFact, learn
from tests.partners import Partners, partners_running


@pytest.fixture(scope="session")
def bureau():
    """The stand-in for the Census Bureau in a process and on a port of its own: its address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--log-level", "error", "examples.standins.census:app"], cwd=Path(__file__).parents[2]
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/2024/acs/acs5")
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def all_partners():
    with partners_running() as running:
        yield running


@pytest.fixture
def partners(all_partners) -> Partners:
    """The stand-ins, as if nobody had called them before this test."""
    all_partners.calls()
    return all_partners


def _wait_for(url: str, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            httpx.get(url, timeout=2, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(f"{url} does not answer")


@pytest.fixture
def source_on(house):
    """Switch the census source on: `source_on(base_url, api_key="…")`."""

    def switch(base_url: str, **changes):
        settings = {"base_url": base_url, "api_key": "secret-key", **changes}
        return save_source("us-census-acs", settings)

    return switch


def lives_in(profile, postal_code: str, country: str = "US"):
    return learn(
        profile,
        [
            NewFact("postal_code", postal_code, "declared", "test"),
            NewFact("country", country, "declared", "test"),
        ],
    )
