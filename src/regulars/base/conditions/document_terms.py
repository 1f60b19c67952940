"""Flatten a JSON document into typed terms by path, which conditions are evaluated over.

`{"jobs": [{"title": "CTO"}], "score": 7}` becomes `{"jobs.title": ["s:CTO"], "score": ["n:7"]}`. Array levels are
skipped, null and empty values are not indexed, and case is folded for e-mail addresses and names. Terms compare as text, so every
engine agrees.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Any

Terms = dict[str, list[str]]

CASELESS = frozenset({"email", "email.domain", "name", "given_name", "family_name", "nickname"})
CONSENT_PATH = "consent"  # a person's terms hold the purposes that are open under this path
DEEPEST = 32
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def terms_of(document: Mapping[str, object]) -> Terms:
    """Return every scalar of the document by its dotted path, in document order, without repeats."""
    terms: Terms = {}
    for key, value in document.items():
        _gather(terms, key, value, DEEPEST)
    for address in terms.get("email", []):
        terms.setdefault("email.domain", []).append("s:" + address.rpartition("@")[2])
    return terms


def event_terms(properties: dict[str, Any]) -> Terms:
    """Return the terms of an event's properties. Case is folded for `name` and `email` there too."""
    return terms_of(properties)


def term(path: str, value: Any) -> str | None:
    """Return one scalar as a typed term, or None for what is not indexed."""
    match value:
        case bool():
            return f"b:{str(value).lower()}"
        case int():
            return f"n:{value}"
        case float():
            return f"n:{canonical(value)}" if math.isfinite(value) else None
        case str() if value:
            return f"s:{fold_case(path, value)}"
        case dt.datetime() | dt.date():
            return f"s:{value.isoformat()}"
    return None


def fold_case(path: str, text: str) -> str:
    return text.lower() if path in CASELESS else text


def literal_terms(path: str, text: str) -> list[str]:
    """Return the terms that a literal in a condition equals: `13` is the text and the number, `true` the text and the boolean."""
    found = [f"s:{fold_case(path, text)}"]
    number = as_number(text)
    if number is not None:
        found.append(f"n:{canonical(number)}")
    if text in ("true", "false"):
        found.append(f"b:{text}")
    return found


def as_number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) and math.isfinite(float(text)) else None


def canonical(number: float) -> str:
    """Return one spelling per number: 7, 7.0 and 7e0 are `7`."""
    return str(int(number)) if number == int(number) else repr(number)


def _gather(terms: Terms, path: str, value: Any, depth: int) -> None:
    if depth == 0:
        return
    match value:
        case dict():
            for key, item in value.items():
                _gather(terms, f"{path}.{key}", item, depth - 1)
        case list() | tuple():
            for item in value:
                _gather(terms, path, item, depth - 1)
        case _:
            found = term(path, value)
            if found is not None and found not in terms.get(path, ()):
                terms.setdefault(path, []).append(found)
