"""Print a tree as text, which `parse` reads back as the same tree."""

from __future__ import annotations

import re

from .document_terms import canonical
from .tree import (
    And,
    Between,
    Bound,
    Condition,
    Consented,
    Did,
    Equals,
    Everything,
    Exists,
    InSegment,
    Matches,
    Not,
    Or,
)

_PLAIN = re.compile(r"(?!AND$|OR$|NOT$|TO$)[A-Za-z0-9_][\w.\-@]*")
_FIELD_SPECIAL = re.compile(r"([^\w.\-@$])")


def to_text(condition: Condition) -> str:
    """Return the text of a condition, with as few parentheses and quotes as possible."""
    return _write(condition)


def _write(condition: Condition) -> str:
    match condition:
        case Everything():
            return "*"
        case Equals(field, value):
            return f"{_field(field)}:{_value(value)}"
        case Matches(field, pieces):
            return f"{_field(field)}:{'*'.join(map(_escaped, pieces))}"
        case Between(field, low, high):
            opens = "{" if low and not low.inclusive else "["
            closes = "}" if high and not high.inclusive else "]"
            return f"{_field(field)}:{opens}{_bound(low)} TO {_bound(high)}{closes}"
        case Exists(field):
            return f"_exists_:{_value(field)}"
        case InSegment(slug):
            return f"segment:{_quoted(slug)}"
        case Consented(purpose):
            return f"consent:{_quoted(purpose)}"
        case Did():
            return _did(condition)
        case Not(part):
            return f"NOT {_inner(part)}"
        case And(parts):
            return " AND ".join(map(_inner, parts))
        case Or(parts):
            return " OR ".join(_inner(part) if isinstance(part, Or) else _write(part) for part in parts)


def _inner(condition: Condition) -> str:
    text = _write(condition)
    return f"({text})" if isinstance(condition, And | Or) else text


def _did(did: Did) -> str:
    of = f"sum {did.of} of " if did.aggregate == "sum" else "" if did.aggregate == "count" else f"{did.aggregate} of "
    where = f" where {_write(did.where)}" if did.where else ""
    within = f" in {did.within_days}d" if did.within_days is not None else ""
    at_least_once = did.aggregate == "count" and did.comparison == ">=" and did.number == 1
    compared = "" if at_least_once else f":{did.comparison}{canonical(did.number)}"
    return f"did({of}{_quoted(did.event)}{where}{within}){compared}"


def _bound(bound: Bound | None) -> str:
    return "*" if bound is None else _escaped(bound.value)


def _field(field: str) -> str:
    return _FIELD_SPECIAL.sub(r"\\\1", field)


def _value(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _escaped(text: str) -> str:
    return re.sub(r"([^\w.\-@])", r"\\\1", text)
