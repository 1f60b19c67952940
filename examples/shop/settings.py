"""Where the shop finds Regulars, and what it was given to sign in there."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """`issuer` ends with a slash, as it stands in every token; `collector` takes events."""

    issuer: str
    collector: str
    client_id: str
    client_secret: str
    callback: str
    write_key: str
    cookie_secret: str

    @property
    def home(self) -> str:
        """The shop's own first page: its callback's address without the path."""
        return self.callback.removesuffix("/callback") + "/"


def from_environment() -> Settings:
    """`SHOP_CREDENTIALS` names the `credentials.json` that Regulars wrote; any part of it may be set by itself instead:
    `SHOP_CLIENT_ID`, `SHOP_CLIENT_SECRET`, `SHOP_CALLBACK`, `SHOP_WRITE_KEY`. `SHOP_ISSUER` is where Regulars is.
    """
    path = os.environ.get("SHOP_CREDENTIALS")
    known = json.loads(Path(path).read_text()) if path else {"shop": {}, "collector": {}}
    issuer = os.environ.get("SHOP_ISSUER", "http://localhost:8000/")
    secret = os.environ.get("SHOP_CLIENT_SECRET") or known["shop"]["client_secret"]
    return Settings(
        issuer=issuer,
        collector=os.environ.get("SHOP_COLLECTOR", issuer.rstrip("/")),
        client_id=os.environ.get("SHOP_CLIENT_ID") or known["shop"]["client_id"],
        client_secret=secret,
        callback=os.environ.get("SHOP_CALLBACK") or known["shop"]["callback"],
        write_key=os.environ.get("SHOP_WRITE_KEY") or known["collector"]["write_key"],
        cookie_secret=os.environ.get("SHOP_COOKIE_SECRET") or f"cookies {secret}",
    )
