"""Text and JSON that every supported database can store."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # the collector reads text too, and has no pages
    from django.http import HttpRequest, QueryDict

JsonObject: TypeAlias = dict[str, Any]  # JSON of any shape, such as what a rule has written

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # categories of Unicode
_JOINERS = "\u200c\u200d"
# PostgreSQL stores neither NUL nor half of a surrogate pair; untrusted JSON may carry both. And `1e400` is a number in
# JSON, but infinite in Python, which neither database accepts. An integer of too many digits cannot be written by Python.
MAX_BITS = 13_288  # 4,000 digits: Python reads and writes at most 4,300
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(value: Any) -> Any:
    """Return the JSON value with unstorable characters replaced by U+FFFD, in keys too, and numbers that are too large by null."""
    match value:
        case str():
            return _UNSTORABLE.sub("�", value)
        case list():
            return [storable(item) for item in value]
        case dict():
            return {storable(key): storable(item) for key, item in value.items()}
        case float() if not math.isfinite(value):
            return None
        case int() if value.bit_length() > MAX_BITS:
            return None
    return value


def has_hidden(text: str) -> bool:
    """Return whether a text for people has characters that they cannot see and that change what they read.

    Controls, line breaks, direction marks and invisible characters. The two joiners stay: Persian and emoji need them.
    """
    return any(unicodedata.category(each) in _HIDDEN and each not in _JOINERS for each in text)


def distinct_lines(text: str) -> list[str]:
    """Return the lines of a text, stripped, without empty ones and repeats."""
    return list(dict.fromkeys(filter(None, map(str.strip, text.splitlines()))))


def has_nul(request: HttpRequest, *sent: QueryDict) -> bool:
    """Whether its path, or a name or value of what was `sent`, holds NUL: PostgreSQL answers a question with one by an error."""
    said = [text for each in sent for name, values in each.lists() for text in (name, *values)]
    return any("\0" in text for text in (request.path, *said))
