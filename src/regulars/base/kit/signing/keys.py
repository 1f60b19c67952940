"""Where signing keys come from: made on first use by whoever is first, parsed once per process."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any

from django.db import transaction
from joserfc.jwk import RSAKey

from .models import SigningKey

# A token that names an unknown key costs the stranger who sends it nothing, so it may cost us a query only this often.
RELOAD_AT_MOST_EVERY = 10.0  # seconds


@dataclass(frozen=True)
class Ring:
    """Every key of the house as one process knows it: `current` signs, all verify. Iteration order is oldest first."""

    current: RSAKey
    by_kid: dict[str, RSAKey]
    read_at: float = field(default_factory=time.monotonic)

    def public(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self.by_kid.values()]}


_ring: Ring | None = None
_reading = Lock()


def ring() -> Ring:
    """The keys, read from the database at most once per process; the first caller of all makes the first key."""
    if _ring is not None:
        return _ring
    with _reading:
        return _ring or _read()


def find_key(kid: str) -> RSAKey | None:
    """The key with this id. An unknown id makes us look again: another process may have made a key since."""
    known = ring()
    if kid not in known.by_kid and time.monotonic() - known.read_at > RELOAD_AT_MOST_EVERY:
        with _reading:
            known = _read()
    return known.by_kid.get(kid)


def _read() -> Ring:
    rows = _rows()
    if not any(row.is_current for row in rows):
        _make_current()
        rows = _rows()
    by_kid = {row.kid: _parsed(row.kid, row.private_pem) for row in rows}
    fresh = Ring(next(by_kid[row.kid] for row in rows if row.is_current), by_kid)
    # Not before the commit: a key made in a transaction that is rolled back must not sign for the rest of this process.
    transaction.on_commit(lambda: _remember(fresh))
    return fresh


def _remember(fresh: Ring) -> None:
    global _ring
    _ring = fresh


def _rows() -> list[SigningKey]:
    return list(SigningKey.objects.order_by("created_at", "id"))


def _make_current() -> None:
    """Two processes may do this at once: the constraint lets one key in, and both read that one back."""
    key = RSAKey.generate_key(2048)
    row = SigningKey(kid=key.thumbprint(), private_pem=key.as_pem(private=True).decode())
    SigningKey.objects.bulk_create([row], ignore_conflicts=True)


@lru_cache(maxsize=64)
def _parsed(kid: str, pem: str) -> RSAKey:
    """Parsing checks the key's primes, which takes 40 ms: a hundred times longer than signing."""
    return RSAKey.import_key(pem, {"use": "sig", "alg": "RS256", "kid": kid})
