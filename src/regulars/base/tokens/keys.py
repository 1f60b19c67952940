"""The set of signing keys: made on first use, cached for seconds, parsed once per process."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from joserfc.jwk import RSAKey

from .models import SigningKey

# The delay until a process knows of a rotation. Until then it signs with the previous key, which is still valid.
FRESH_FOR = 5.0  # seconds
# Anyone can send tokens that name unknown keys, so they cause a query only this often.
RELOAD_AT_MOST_EVERY = 10.0  # seconds
# A retired key verifies until the last token that it signed has expired.
LONGEST_TOKEN = dt.timedelta(days=30)

State = SigningKey.State


@dataclass(frozen=True)
class KeySet:
    """The keys as one process knows them: `current` signs, all verify. They are in order of age, oldest first."""

    current: RSAKey
    by_kid: dict[str, RSAKey]
    read_at: float = field(default_factory=time.monotonic)

    def public(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self.by_kid.values()]}

    @property
    def age(self) -> float:
        return time.monotonic() - self.read_at


_cached: KeySet | None = None
_reading = Lock()


def key_set() -> KeySet:
    """Return the keys as they were in the database a few seconds ago. The first call makes the first two keys."""
    known = _cached
    if known is None:
        with _reading:
            return _cached or _read()
    if known.age < FRESH_FOR or not _reading.acquire(blocking=False):
        return known
    try:
        return _read()
    finally:
        _reading.release()


def find_key(kid: str) -> RSAKey | None:
    """Return the key with this id. An unknown id causes a reload: another process may have made a key since."""
    known = key_set()
    if kid not in known.by_kid and known.age > RELOAD_AT_MOST_EVERY:
        with _reading:
            known = _read()
    return known.by_kid.get(kid)


def still_verifying() -> Q:
    return ~Q(state=State.RETIRED) | Q(retired_at__gt=timezone.now() - LONGEST_TOKEN)


def new_key(state: str) -> SigningKey:
    """Return a new key pair that is not saved. It takes a tenth of a second or more."""
    key = RSAKey.generate_key(2048)
    return SigningKey(kid=key.thumbprint(), private_pem=key.as_pem(private=True).decode(), state=state)


def forget_key_set() -> None:
    """Reload the keys at the next use, because this process changed them."""
    global _cached
    _cached = None


def _read() -> KeySet:
    rows = _rows()
    if not any(row.state == State.CURRENT for row in rows):
        _make_first()
        rows = _rows()
    by_kid = {row.kid: _parsed(row.kid, row.private_pem) for row in rows}
    fresh = KeySet(next(by_kid[row.kid] for row in rows if row.state == State.CURRENT), by_kid)
    # Not before the commit: a key made in a transaction that is rolled back must not sign for the rest of this process.
    transaction.on_commit(lambda: _remember(fresh))
    return fresh


def _remember(fresh: KeySet) -> None:
    global _cached
    _cached = fresh


def _rows() -> list[SigningKey]:
    return list(SigningKey.objects.filter(still_verifying()).order_by("created_at", "id"))


def _make_first() -> None:
    """Create the first two keys. Of two processes at once, the constraints let one in, and both read its keys."""
    pair = [new_key(State.CURRENT), new_key(State.NEXT)]
    SigningKey.objects.bulk_create(pair, ignore_conflicts=True)


@lru_cache(maxsize=64)
def _parsed(kid: str, pem: str) -> RSAKey:
    """Return the parsed key. Parsing checks its primes, which takes 40 ms, a hundred times longer than signing."""
    return RSAKey.import_key(pem, {"use": "sig", "alg": "RS256", "kid": kid})
