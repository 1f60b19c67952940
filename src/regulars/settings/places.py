"""Where things answer: Regulars itself, and the demo's neighbours on the next two ports."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Places:
    """Addresses without a slash at the end, as browsers see them."""

    regulars: str
    shop: str
    standins: str

    @classmethod
    def on_this_machine(cls, port: int, *, https: bool = False) -> Places:
        """`$REGULARS_URL` when it is set (behind a proxy), else localhost."""
        here = f"{'https' if https else 'http'}://localhost"
        regulars = os.environ.get("REGULARS_URL", f"{here}:{port}").rstrip("/")
        return cls(regulars, f"{here}:{port + 1}", f"{here}:{port + 2}")

    @staticmethod
    def port_of(url: str) -> int:
        return urlsplit(url).port or 80


def is_local(url: str) -> bool:
    """Whether an address is a name of whatever machine one sits at."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")
