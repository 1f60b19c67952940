"""Hash passwords and compare them as text: `é` is one letter, whether a keyboard sends one code point for it or two.

NFKC as in NIST SP 800-63B and RFC 8265 for what is set and compared. Hashes from before may be of the password as it was
typed: that form is tried after it, and only where the two differ.
"""

from __future__ import annotations

import unicodedata

from django.contrib.auth.hashers import check_password, make_password

from regulars.base.text import storable

LONGEST = 1000  # characters; a longer one costs the hash more than it gives, and cannot be set


def normalised(password: str) -> str:
    """Return the form that is hashed. A password too long to be one is left alone: composing it has no bound on time."""
    return password if len(password) > LONGEST else unicodedata.normalize("NFKC", storable(password))


def forms_of(password: str) -> list[str]:
    """Return what an account's hash may be of: the normal form, then the password as it was typed if that differs."""
    return list(dict.fromkeys([normalised(password), storable(password)]))


def hash_password(password: str) -> str:
    return make_password(normalised(password))


def matches(password: str, encoded: str) -> bool:
    return any(check_password(form, encoded) for form in forms_of(password))


def hash_in_vain(password: str) -> None:
    """Take the time that comparing takes, for an address without an account."""
    for form in forms_of(password):
        make_password(form)
