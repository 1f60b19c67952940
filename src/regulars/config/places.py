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
    def on_this_machine(cls, port: int) -> Places:
        """`$REGULARS_URL` when it is set (behind a proxy), else localhost."""
        regulars = os.environ.get("REGULARS_URL", f"http://localhost:{port}").rstrip("/")
        return cls(regulars, f"http://localhost:{port + 1}", f"http://localhost:{port + 2}")

    @staticmethod
    def port_of(url: str) -> int:
        return urlsplit(url).port or 80
