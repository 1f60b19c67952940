"""The set of signing keys: made on first use, cached until a rotation, parsed once per process."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db.models import Q
from django.utils import timezone
from joserfc.jwk import RSAKey

from regulars.base.configuration.versioned_cache import VersionedCache

from .models import SigningKey

# A retired key verifies until the last token that it signed has expired.
LONGEST_TOKEN = dt.timedelta(days=30)

State = SigningKey.State


@dataclass(frozen=True)
class KeySet:
    """The keys as one process knows them: `current` signs, all verify. They are in order of age, oldest first."""

    current: RSAKey
    by_kid: dict[str, RSAKey]

    def public(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self.by_kid.values()]}


def key_set() -> KeySet:
    """Return the keys. The first call makes the first two keys."""
    return _cached("") or _make_first()


def find_key(kid: str) -> RSAKey | None:
    return key_set().by_kid.get(kid)


def still_verifying() -> Q:
    return ~Q(state=State.RETIRED) | Q(retired_at__gt=timezone.now() - LONGEST_TOKEN)


def new_key(state: str) -> SigningKey:
    """Return a new key pair that is not saved. It takes a tenth of a second or more."""
    key = RSAKey.generate_key(2048)
    return SigningKey(kid=key.thumbprint(), private_pem=key.as_pem(private=True).decode(), state=state)


def _load(_: str) -> KeySet | None:
    rows = list(SigningKey.objects.filter(still_verifying()).order_by("created_at", "id"))
    by_kid = {row.kid: _parsed(row.kid, row.private_pem) for row in rows}
    signers = [by_kid[row.kid] for row in rows if row.state == State.CURRENT]
    return KeySet(signers[0], by_kid) if signers else None


_cached = VersionedCache(_load, SigningKey)


def _make_first() -> KeySet:
    """Create the first two keys. Of two processes at once, the constraints let one in, and both read its keys."""
    pair = [new_key(State.CURRENT), new_key(State.NEXT)]
    SigningKey.objects.bulk_create(pair, ignore_conflicts=True)
    made = _load("")
    assert made is not None
    return made


@lru_cache(maxsize=64)
def _parsed(kid: str, pem: str) -> RSAKey:
    """Return the parsed key. Parsing checks its primes, which takes 40 ms, a hundred times longer than signing."""
    return RSAKey.import_key(pem, {"use": "sig", "alg": "RS256", "kid": kid})
