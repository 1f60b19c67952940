"""The mock services of a company's partners, in a process of their own, and the requests they received."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.live import ask, run_mock_service


@dataclass
class Partners:
    url: str
    seen: int = 0

    def at(self, name: str) -> str:
        return f"{self.url}/partners/{name}"

    def calls(self, name: str = "") -> list[dict[str, Any]]:
        """Return the calls since the last time, oldest first, and count all as seen."""
        everything = ask("GET", f"{self.url}/partners/calls").json()
        fresh, self.seen = everything[self.seen :], len(everything)
        return [call for call in fresh if name in ("", call["partner"])]


@contextmanager
def partners_running(app: str = "app") -> Iterator[Partners]:
    with run_mock_service(app) as url:
        yield Partners(url)


@pytest.fixture(scope="session")
def all_partners() -> Iterator[Partners]:
    """Once per worker."""
    with partners_running() as running:
        yield running


@pytest.fixture
def partners(all_partners: Partners) -> Partners:
    """The mock services, with the calls of earlier tests counted as seen."""
    all_partners.calls()
    return all_partners


@cache
def service_account() -> str:
    """A Google service account's key file, made here."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps({"type": "service_account", "client_email": "shop@example.com", "private_key": private})
