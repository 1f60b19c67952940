"""Flatten a JSON document into typed terms by path, which conditions are evaluated over.

`{"jobs": [{"title": "CTO"}], "score": 7}` becomes `{"jobs.title": ["s:CTO"], "score": ["n:7"]}`. Array levels are
skipped, null and empty values are not indexed, and case is folded for e-mail addresses and names, and domains of addresses are in ASCII. Terms compare as text, so every
engine agrees.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from regulars.base.email_address import canonical_domain, canonical_email

Terms = dict[str, list[str]]

CASELESS = frozenset({"email", "email.domain", "name", "given_name", "family_name", "nickname"})
CONSENT_PATH = "consent"  # a person's terms hold the purposes that are open under this path
DEEPEST = 32
WHOLE_NUMBER = "-?[0-9]+"
# No longer than every engine reads as a double; integers are compared by their digits and may have any length.
DECIMAL_NUMBER = r"-?[0-9]{1,200}([.][0-9]{1,200})?([eE][+-]?[0-9]{1,2})?"
LONGEST_WHOLE = 4000  # digits of an integer in a condition
_WHOLE, _DECIMAL = re.compile(WHOLE_NUMBER), re.compile(DECIMAL_NUMBER)


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
    match path:
        case "email":
            return canonical_email(text).lower()
        case "email.domain":
            return canonical_domain(text)
    return text.lower() if path in CASELESS else text


def literal_terms(path: str, text: str) -> list[str]:
    """Return the terms that a literal in a condition equals: `13` is the text and the number, `true` the text and the boolean."""
    found = [f"s:{fold_case(path, text)}"]
    number = as_decimal(text)
    if number is not None:
        found.append(f"n:{_spelled(number)}")
    if text in ("true", "false"):
        found.append(f"b:{text}")
    return found


def is_whole(text: str) -> bool:
    """Return whether text is an integer, of any length."""
    return _WHOLE.fullmatch(text) is not None


def is_number(text: str) -> bool:
    """Return whether text is wholly a number: `9`, `-9.50`, `1e3`; not `9 EUR`."""
    return is_whole(text) or _DECIMAL.fullmatch(text) is not None


def as_decimal(text: str) -> Decimal | None:
    """Return the number that a literal is, exactly, or None."""
    return Decimal(text) if len(text) <= LONGEST_WHOLE and is_number(text) else None


def as_number(text: str) -> float | None:
    """Return the number that a literal is as a double, or None."""
    number = as_decimal(text)
    return None if number is None or not math.isfinite(float(number)) else float(number)


def _spelled(number: Decimal) -> str:
    """Return the spelling that `term` gives to the same number; digits that no double has stay."""
    if number == number.to_integral_value():
        return str(int(number))
    double = float(number)
    return repr(double) if Decimal(repr(double)) == number else f"{number:f}".rstrip("0")


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
