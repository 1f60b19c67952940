"""Addresses of Regulars and of the demo's shop and mock services, which use the next two ports."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Addresses:
    """Base addresses as browsers see them, without a slash at the end."""

    regulars: str
    shop: str
    mock_services: str

    @classmethod
    def on_localhost(cls, port: int, *, https: bool = False) -> Addresses:
        """Build the addresses from `$REGULARS_URL` when it is set (behind a proxy), else from localhost."""
        here = f"{'https' if https else 'http'}://localhost"
        regulars = os.environ.get("REGULARS_URL", f"{here}:{port}").rstrip("/")
        return cls(regulars, f"{here}:{port + 1}", f"{here}:{port + 2}")

    @staticmethod
    def port_of(url: str) -> int:
        return urlsplit(url).port or 80


def is_local(url: str) -> bool:
    """Return whether the host of an address names the local machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")
