"""Public keys of clients: those that are stored, or those behind the client's `jwks_uri`, where it rotates them by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from regulars.base.http import MAX_BYTES, RequestFailed, RequestRefused, request
from regulars.clients.models import Client

FRESH_FOR = 300.0  # seconds: how long a key is good after its client took it away
# Anyone can send signatures that name unknown keys and a client, so they cause a request to the client only this often.
FETCH_AT_MOST_EVERY = 30.0  # seconds
STALE_FOR = 3600.0  # seconds that keys serve on while their address does not answer
TIMEOUT = 3.0  # seconds: a token request waits for it
MOST_KEYS = 20
MOST_ENTRIES = 1000
KINDS: dict[str, Callable[[dict[str, Any]], ECKey | RSAKey]] = {"EC": ECKey.import_key, "RSA": RSAKey.import_key}


@dataclass
class FetchedKeys:
    """The keys behind one address. `read_at` is when it last answered, `tried_at` when it was last asked; 0 is never."""

    keys: KeySet | None = None
    read_at: float = 0.0
    tried_at: float = 0.0
    lock: Lock = field(default_factory=Lock)


_fetched: dict[str, FetchedKeys] = {}


def keys_of(client: Client) -> KeySet | None:
    """Return the public keys of a client; None when it has none, or none that could be fetched in the last hour."""
    if not client.jwks_uri:
        return _key_set(client.public_keys)
    kept = _of_address(client.jwks_uri)
    age = time.monotonic() - kept.read_at
    if age > FRESH_FOR or not kept.keys:
        _fetch(client.jwks_uri, kept, waits=not kept.keys or age > STALE_FOR)
    return kept.keys


def newer_keys_of(client: Client) -> KeySet | None:
    """Return the keys as the client publishes them now, after a signature by none of `keys_of`; None for the same as before."""
    if not client.jwks_uri:
        return None
    kept = _of_address(client.jwks_uri)
    before = kept.read_at
    _fetch(client.jwks_uri, kept)
    return kept.keys if kept.read_at != before else None


def forget_fetched_keys() -> None:
    _fetched.clear()


def _of_address(address: str) -> FetchedKeys:
    if address not in _fetched and len(_fetched) >= MOST_ENTRIES:
        _fetched.clear()
    return _fetched.setdefault(address, FetchedKeys())


def _fetch(address: str, kept: FetchedKeys, *, waits: bool = True) -> None:
    """Ask the address, unless that was done just now. Of several requests at once one asks, and the others wait if `waits`.

    Each that waits holds a thread of the process, which has a few: a slow address would hold up every customer.
    """
    if not kept.lock.acquire(blocking=waits):
        return
    try:
        now = time.monotonic()
        if kept.tried_at and now - kept.tried_at < FETCH_AT_MOST_EVERY:
            return
        kept.tried_at = now
        try:
            answer = request(
                "GET", address, headers={"accept": "application/json"}, timeout=TIMEOUT, max_bytes=MAX_BYTES
            )
            document = answer.json() if answer.status == 200 else None
        except (RequestFailed, RequestRefused):
            document = None
        keys = _key_set(document["keys"]) if isinstance(document, dict) and "keys" in document else None
        if keys:
            kept.keys, kept.read_at = keys, time.monotonic()
        elif now - kept.read_at > STALE_FOR:
            kept.keys = None
    finally:
        kept.lock.release()


def _key_set(keys: Any) -> KeySet | None:
    """Return the keys that can sign for a client. What is no such key is ignored (RFC 7517, 5)."""
    found = []
    for key in keys[:MOST_KEYS] if isinstance(keys, list) else []:
        if not isinstance(key, dict) or key.get("use", "sig") != "sig" or str(key.get("kty")) not in KINDS:
            continue
        try:
            found.append(KINDS[key["kty"]](key))
        except (JoseError, ValueError, TypeError):
            continue
    return KeySet(list(found)) if found else None
