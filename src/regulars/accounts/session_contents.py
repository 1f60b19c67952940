"""What the columns of a stored session say of its contents: whose it is, and which words are in it.

A session is stored encoded, so that the database cannot search it. An erasure finds the sessions of an account by a column, and
those before a login in which a name was typed by checksums of words; only these are decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote
from zlib import crc32

from django.contrib.auth import SESSION_KEY

from regulars.base.email_address import readable_email

LOGIN_WAITING = "login_waiting"  # session key: the login that has shown a first proof and not yet the second
STAFF_WAITING = "console_pending_login"  # the same in the console
WORD = re.compile(r"[\w-]+")
# Two words of an address or an id at a provider: `ana@example` tells more than the name of a mail service.
PAIR = re.compile(r"(?=(?<![\w-])([\w-]+[@|][\w-]+))")
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def account_in(data: Mapping[str, Any]) -> int | None:
    """Return the id of the account that is signed in, or has shown a first proof."""
    if SESSION_KEY in data:
        return int(data[SESSION_KEY])
    waiting = data.get(LOGIN_WAITING) or data.get(STAFF_WAITING) or {}
    return int(waiting["account"]) if "account" in waiting else None


def words_in(data: Mapping[str, Any]) -> str | None:
    """Return checksums of the words of a session before its login. None: it has none, or an account is signed in."""
    if SESSION_KEY in data:
        return None
    found = {_checksum(word) for text in _texts(data) for word in _words(text)}
    return " ".join(sorted(found)) or None


def words_of(name: str) -> set[str]:
    """Return a checksum for each form of a name: a session that has the name has one of them. Empty: the name has no words."""
    found = set()
    for form in {name, readable_email(name)}:
        text = form.lower()
        telling = PAIR.findall(text) or WORD.findall(text)
        found |= {_checksum(max(telling, key=len))} if telling else set()
    return found


def _texts(value: object) -> Iterator[str]:
    """Yield the texts and numbers in a JSON value."""
    match value:
        case Mapping():
            for key, within in value.items():
                yield str(key)
                yield from _texts(within)
        case list() | tuple():
            for within in value:
                yield from _texts(within)
        case str() | int() | float():
            yield str(value)


def _words(text: str) -> Iterator[str]:
    """Yield the words and pairs of a text, also where it is written for an address of a page or as JSON."""
    escapes = ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    unescaped = escapes.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # JSON writes an emoji as two
    for form in {text, unescaped, unquote(unescaped)}:
        lower = form.lower()
        yield from WORD.findall(lower)
        yield from PAIR.findall(lower)


def _checksum(word: str) -> str:
    return f"{crc32(word.encode(errors='surrogatepass')):08x}"
