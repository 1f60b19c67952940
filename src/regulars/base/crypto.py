"""Secrets at rest: encrypt those that are read again, hash those that are only compared."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from regulars.base.errors import Invalid


def random_secret(length: int = 48) -> str:
    """Return a new URL-safe secret of `length` characters (6 bits each)."""
    return secrets.token_urlsafe(length)[:length]


def hash_secret(secret: str) -> str:
    """Return `salt$sha256` of a *random* secret. Never for passwords, which need a slow hash.

    A 256-bit random secret cannot be guessed, so a slow hash would only cost time (0.3 s against 7 µs).
    """
    salt = secrets.token_hex(8)
    return f"{salt}${_salted(secret, salt)}"


def matches_secret(secret: str, hashed: str) -> bool:
    salt, _, digest = hashed.partition("$")
    return bool(digest) and hmac.compare_digest(_salted(secret, salt), digest)


def fingerprint(token: str) -> str:
    """Return the SHA-256 in hex under which a random token is stored."""
    return hashlib.sha256(token.encode()).hexdigest()


def key_id(key: str) -> str:
    """Return a name of an installation's key, which tells keys apart and reveals nothing of them."""
    return hmac.new(key.encode(), b"regulars.key_id", "sha256").hexdigest()[:16]


def encrypt(value: Any) -> str:
    """Encrypt and authenticate a JSON value with the installation's key."""
    return _fernet(settings.SECRET_KEY).encrypt(json.dumps(value).encode()).decode()


def decrypt(token: str, key: str = "") -> Any:
    """Return the value given to `encrypt`, under the installation's key unless another is given.

    Raises `Invalid("wrong_key")` when another key encrypted it, or it is damaged.
    """
    try:
        return json.loads(_fernet(key or settings.SECRET_KEY).decrypt(token.encode()))
    except InvalidToken:
        raise Invalid("wrong_key", "This secret was encrypted with another key.") from None


def seal(text: str, key: str = "") -> str:
    """Return what proves that who has the installation's key wrote this text: 32 hex digits. Compare it with `is_sealed`."""
    secret = hashlib.sha256(b"regulars.seal:" + (key or settings.SECRET_KEY).encode()).digest()
    return hmac.new(secret, text.encode(), "sha256").hexdigest()[:32]


def is_sealed(text: str, by: str, key: str = "") -> bool:
    return hmac.compare_digest(seal(text, key).encode(), by.encode())


def _salted(secret: str, salt: str) -> str:
    return hashlib.sha256(f"{salt}{secret}".encode()).hexdigest()


@lru_cache(maxsize=4)
def _fernet(key: str) -> Fernet:
    return Fernet(urlsafe_b64encode(hashlib.sha256(b"regulars.encryption:" + key.encode()).digest()))
