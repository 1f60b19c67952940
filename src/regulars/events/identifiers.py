"""Read identifiers: ids of customers, browsers and groups as text, without the placeholders that programs send for none.

A placeholder would join people who have nothing in common: all whose id is `[object Object]` become one customer.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MAX_ID = 245  # characters: user ids have 255, with the prefix `anonymous|` or `external|`
EXACT = 2**53  # from here on a float has lost digits, and may be the id of another person
QUOTES = " \t\r\n\\\"'`´‘’‚‛“”„‟«»‹›()[]{}<>"
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"

# What programs write for an id that they do not have, without quotes and brackets, in lower case.
NOTHINGS = frozenset({"null", "undefined", "none", "nil", "nan", "void"})
PLACEHOLDERS = NOTHINGS | {
    *("true", "false", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity", "-nan", "-1", "0x0", "#n/a"),
    *("anonymous", "anon", "guest", "visitor", "nobody", "unknown", "unidentified", "unauthenticated", "default"),
    *("not authenticated", "logged out", "loggedout", "not logged in", "notloggedin", "signed out", "no user"),
    *("n/a", "na", "not set", "notset", "not available", "missing", "empty", "blank", "object", "object object"),
    *("id", "uid", "user", "userid", "user id", "anonymousid", "anonymous id", "distinctid", "distinct id"),
    *("previousid", "previous id", "groupid", "group id", "email", "your user id", "your_user_id"),
    # devices that share one: Android 2.2, iOS 7, a switched-off advertising id
    *("9774d56d682e549c", "02:00:00:00:00:00", "00:00:00:00:00:00"),
}
PATTERNS = re.compile(
    r"""[0\-.]*                                              # 0, 0.0, 00000000-0000-0000-0000-000000000000
    | ([0-9a-f])\1{7}-\1{4}-\1{4}-\1{4}-\1{12} | ([0-9a-f])\2{31}  # one digit repeated
    | \{\{.*\}\} | \$\{.*\} | <%.*%> | \{[a-z_.$]*\} | %\(?\w*\)?[sd] | %\w+%  # a template that was not filled in
    | \[object\ .*\] | \[?function\b.* | <.*\ at\ 0x[0-9a-f]+> | \#?<(?:function|class|built-in|bound|object)\b.*>  # code
    """,
    re.VERBOSE | re.DOTALL,
)
WHOLE_NUMBER = re.compile(r"(-?[0-9]+)\.0+")


class IdProblem(StrEnum):
    """Why there is no identifier. The value is the reason under which a message is set aside."""

    MISSING = "no_id"
    PLACEHOLDER = "nobody"
    TOO_LONG = "id_too_long"  # cut, two of them may be equal


@dataclass(frozen=True, slots=True)
class Identifier:
    """An id as text, or the problem with it."""

    text: str = ""
    problem: IdProblem | None = None

    def __bool__(self) -> bool:
        return bool(self.text)


def read_identifier(value: Any) -> Identifier:
    """Return the id that a message names. `123`, `123.0` and `"123.0"` are the id `123`."""
    match value:
        case bool():
            return Identifier(problem=IdProblem.PLACEHOLDER)
        case float():
            if abs(value) >= EXACT:
                return Identifier(problem=IdProblem.PLACEHOLDER)
            text = str(int(value)) if value.is_integer() else str(value)
        case str() | int():
            text = _bare(str(value))
        case _:
            return Identifier(problem=IdProblem.MISSING)
    if whole := WHOLE_NUMBER.fullmatch(text):
        text = whole[1]
    if not text:
        return Identifier(problem=IdProblem.MISSING)
    if is_placeholder(text):
        return Identifier(problem=IdProblem.PLACEHOLDER)
    return Identifier(text) if len(text) <= MAX_ID else Identifier(problem=IdProblem.TOO_LONG)


def is_missing(value: Any) -> bool:
    """Return whether `read_identifier` would find nothing at all. Cheap: the collector asks for every message."""
    if value is None:
        return True
    return not _bare(value) if isinstance(value, str) else not isinstance(value, int | float)


def _bare(text: str) -> str:
    return text.strip().strip(INVISIBLE).strip()


def is_placeholder(text: str) -> bool:
    """Return whether an id names no one, in any case, quoted, in brackets or repeated (`null-null`)."""
    if len(text) > MAX_ID:
        return False
    seen = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")  # without zero-width characters
    plain = unicodedata.normalize("NFKC", seen).casefold().strip()
    bare = " ".join(plain.strip(QUOTES).replace("_", " ").replace("-", " ").split())
    if not bare or plain.strip(QUOTES) in PLACEHOLDERS or bare in PLACEHOLDERS:
        return True
    parts = [part for part in re.split(r"[\s|:;,./]+", bare) if part]
    return bool(PATTERNS.fullmatch(plain) or PATTERNS.fullmatch(plain.strip(QUOTES))) or set(parts) <= NOTHINGS
