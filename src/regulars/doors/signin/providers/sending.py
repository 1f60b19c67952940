"""What several providers want in a request."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

from regulars.profiles.pieces import Credentials


def basic(credentials: Credentials) -> str:
    """The Authorization header of RFC 6749, 2.3.1."""
    pair = f"{quote(credentials.client_id, safe='')}:{quote(credentials.secret, safe='')}"
    return f"Basic {b64encode(pair.encode()).decode()}"
