"""The stand-ins of a company's partners, all in a process of their own, and what they were sent."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@dataclass
class Partners:
    url: str
    seen: int = 0

    def at(self, name: str) -> str:
        return f"{self.url}/partners/{name}"

    def calls(self, name: str = "") -> list[dict[str, Any]]:
        """The calls since the last time, oldest first; all are counted as seen."""
        everything = httpx.get(f"{self.url}/partners/calls", trust_env=False).json()
        fresh, self.seen = everything[self.seen :], len(everything)
        return [call for call in fresh if name in ("", call["partner"])]


@contextmanager
def partners_running(app: str = "app", ready: str = "/healthz") -> Iterator[Partners]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--log-level", "error", f"examples.standins.{app}:app"], cwd=Path(__file__).parents[1]
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}{ready}")
        yield Partners(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(10)


@cache
def service_account() -> str:
    """A Google service account's key file, made here."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps({"type": "service_account", "client_email": "shop@example.com", "private_key": private})


def _wait_for(url: str, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            httpx.get(url, timeout=2, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(f"{url} does not answer")
