"""Read JSON that others sent, in one way everywhere: what one part of the product accepts, the next one reads too.

The result can be written to both databases, to the lake and to JSON again. Of a repeated key the last value counts, and a
byte-order mark is skipped. What is no JSON, or too deep, is refused.

Between there are texts that Python or browsers write and databases do not store. `repair` (for data, where nothing may be lost)
replaces NUL, half surrogate pairs and invalid UTF-8 by U+FFFD, and NaN, infinities and numbers beyond `MAX_DIGITS` by
null. Without it (for requests and credentials, where a changed value is a wrong one) they are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from .errors import Invalid
from .text import storable

MAX_DEPTH = 100  # levels of objects and lists; far below what Python, SQLite, PostgreSQL and DuckDB can nest
MAX_DIGITS = 4000  # of an integer: Python reads and writes at most 4300
# So many digits in a row hold `MAX_DIGITS // _STEP` of every `_STEP`th byte: a hundredth of the text to look at.
_STEP = 100
_LONG_NUMBER = re.compile(rb"\d{%d}" % (MAX_DIGITS // _STEP))
# For a look at the nesting alone: both kinds of brackets as one, with the quotes that tell where texts begin and end.
_ONE_KIND = bytes.maketrans(b"[]", b"{}")
_NO_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class UnreadableJson(Invalid):
    """What was sent cannot be read: `invalid_json`, `too_deep`."""


def read_json(raw: bytes | str, deepest: int = MAX_DEPTH, *, repair: bool = False) -> Any:
    """Return the value, storable everywhere. Raises `UnreadableJson`."""
    try:
        packed = _utf8(raw, "replace" if repair else "strict")
        value = msgspec.json.decode(packed)
        clean = not _may_need_repair(packed)
    except RecursionError:
        raise _too_deep(deepest) from None
    except (msgspec.DecodeError, UnicodeError):
        if not repair:
            raise _invalid() from None
        # Browsers cut emoji in half, and Python's own writer knows NaN: neither may cost a message.
        value, clean = _forgiving(packed, deepest), False
    # of a repeated key only the last value counts, so that the value may be less deep than its text
    if _is_text_deeper(packed, deepest) and is_deeper(value, deepest):
        raise _too_deep(deepest)
    if clean:
        return value
    stored = storable(value)
    if not repair and stored != value:
        raise UnreadableJson("invalid_json", "The JSON has a character or a number that cannot be stored.")
    return stored


def is_deeper(value: Any, deepest: int) -> bool:
    """Return whether objects and lists are nested in more than `deepest` levels. Does not recurse."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(deepest):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)]
        if not level:
            return False
    return bool(level)


def write_json(value: Any) -> bytes:
    """Return a value of `read_json` as JSON that `read_json` reads as the same value."""
    return msgspec.json.encode(value)


def cut_at_depth(raw: bytes, deepest: int) -> bytes:
    """Replace by 0 whatever is nested below `deepest` levels.

    So that a batch with one bottomless message can be read at all, and that message be refused alone.
    """
    depth, kept, copied = 0, bytearray(), 0
    for token in _TOKENS.finditer(raw):
        match token.group():
            case b"[" | b"{":
                depth += 1
                if depth == deepest + 1:
                    kept += raw[copied : token.start()] + b"0"
            case b"]" | b"}":
                depth -= 1
                if depth == deepest:
                    copied = token.end()
    return bytes(kept + raw[copied:]) if depth <= deepest else raw


def _may_need_repair(packed: bytes) -> bool:
    """Return whether JSON that msgspec has read may hold a NUL or a number that is too long. Half surrogates it refuses."""
    has_nul = b"\\" in packed and b"\\u0000" in packed
    return has_nul or _LONG_NUMBER.search(packed[::_STEP]) is not None


def _is_text_deeper(packed: bytes, deepest: int) -> bool:
    """Return whether valid JSON is nested in more than `deepest` levels. Costs far less than a walk through its value."""
    if len(packed) <= 2 * deepest:
        return False
    if b"\\" in packed:
        packed = packed.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = packed.translate(_ONE_KIND, _NO_BRACKETS)
    if marks.count(b"{") <= deepest:
        return False
    brackets = marks.replace(b'""', b"")
    if b'"' in brackets:  # a text has brackets, which count for nothing
        brackets = b"".join(marks.split(b'"')[::2])
    for _ in range(deepest):
        if not brackets:
            return False
        brackets = brackets.replace(b"{}", b"")  # the innermost level
    return bool(brackets)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _utf8(raw: bytes | str, errors: str) -> bytes:
    """Return the text as UTF-8 without a byte-order mark."""
    if isinstance(raw, str):
        return raw.removeprefix("\ufeff").encode(errors=errors)
    encoding = json.detect_encoding(raw)
    return raw if encoding == "utf-8" else raw.decode(encoding, errors).encode(errors=errors)


def _forgiving(packed: bytes, deepest: int) -> Any:
    try:
        return json.loads(packed.decode(errors="replace"), parse_int=_integer)
    except RecursionError:
        raise _too_deep(deepest) from None
    except ValueError:
        raise _invalid() from None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= MAX_DIGITS else None


def _invalid() -> UnreadableJson:
    return UnreadableJson("invalid_json", "The body is not JSON.")


def _too_deep(deepest: int) -> UnreadableJson:
    return UnreadableJson("too_deep", f"JSON may be nested in {deepest} levels here.")
