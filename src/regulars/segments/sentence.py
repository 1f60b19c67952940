"""The sentence of the segment builder: groups of rows, two levels deep, and its translation from and to a condition.

Customers who  are women · are 25 to 34 · live in Europe  — and any of —  looked at jackets in the last 90 days
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from regulars.base.conditions import Condition
from regulars.base.conditions.tree import And, Between, Bound, Did, Equals, Everything, Exists, InSegment, Not, Or


@dataclass(frozen=True)
class HasValue:
    """`attribute` is one of `values` (one value or several)."""

    attribute: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class InRange:
    """`attribute` lies from `low` to `high`, both ends included; an empty end is open."""

    attribute: str
    low: str
    high: str


@dataclass(frozen=True)
class IsKnown:
    """`attribute` has any known value."""

    attribute: str


@dataclass(frozen=True)
class DidEvent:
    """`event` occurred at least `times` times, in the last `days` days (0: ever), where `property` is `value` (if named)."""

    event: str
    times: int = 1
    days: int = 0
    property: str = ""
    value: str = ""


@dataclass(frozen=True)
class InOtherSegment:
    """The customer is in another segment."""

    segment: str


Row = HasValue | InRange | IsKnown | DidEvent | InOtherSegment


@dataclass(frozen=True)
class RowGroup:
    """Rows of which `all`, `any` or `none` must hold."""

    rows: tuple[Row, ...]
    mode: str = "all"


@dataclass(frozen=True)
class Sentence:
    """All groups must hold."""

    groups: tuple[RowGroup, ...]


def to_condition(sentence: Sentence) -> Condition:
    """Return the condition of a sentence; groups without rows add nothing."""
    parts: list[Condition] = []
    for group in sentence.groups:
        rows = [_condition(row) for row in group.rows]
        match group.mode:
            case "all":
                parts += rows
            case "any" if rows:
                parts.append(_join(Or, rows))
            case "none" if rows:
                parts.append(Not(_join(Or, rows)))
    return _join(And, parts) if parts else Everything()


def to_sentence(condition: Condition) -> Sentence | None:
    """Return the sentence for a condition, or None when no sentence can express it."""
    together: list[Row] = []
    others: list[RowGroup] = []
    for part in condition.parts if isinstance(condition, And) else (condition,):
        if (row := _row(part)) is not None:
            together.append(row)
        elif (group := _group(part)) is not None:
            others.append(group)
        elif not isinstance(part, Everything):
            return None
    first = [RowGroup(tuple(together))] if together else []
    return Sentence((*first, *others))


def is_complete(row: Row) -> bool:
    """Return whether every required field of a row is filled in."""
    match row:
        case HasValue(attribute, values):
            return bool(attribute and values)
        case InRange(attribute, low, high):
            return bool(attribute and (low or high))
        case IsKnown(attribute):
            return bool(attribute)
        case InOtherSegment(segment):
            return bool(segment)
        case DidEvent(event, times, _, property_, value):
            return bool(event and times > 0 and bool(property_) == bool(value))


def complete(sentence: Sentence) -> Sentence:
    """Return the sentence without incomplete rows: the part that can be counted."""
    groups = (replace(group, rows=tuple(filter(is_complete, group.rows))) for group in sentence.groups)
    return Sentence(tuple(group for group in groups if group.rows))


def _condition(row: Row) -> Condition:
    match row:
        case HasValue(attribute, values):
            return _join(Or, [Equals(attribute, value) for value in values])
        case InRange(attribute, low, high):
            return Between(attribute, Bound(low, True) if low else None, Bound(high, True) if high else None)
        case IsKnown(attribute):
            return Exists(attribute)
        case InOtherSegment(segment):
            return InSegment(segment)
        case DidEvent(event, times, days, property_, value):
            where = Equals(property_, value) if property_ else None
            return Did(event, where, days or None, number=float(times))


def _row(condition: Condition) -> Row | None:
    match condition:
        case Equals(attribute, value):
            return HasValue(attribute, (value,))
        case Or(parts) if (choice := _choice(parts)) is not None:
            return choice
        case Between(attribute, low, high) if all(bound is None or bound.inclusive for bound in (low, high)):
            return InRange(attribute, low.value if low else "", high.value if high else "")
        case Exists(attribute):
            return IsKnown(attribute)
        case InSegment(slug):
            return InOtherSegment(slug)
        case Did():
            return _happened(condition)
    return None


def _happened(did: Did) -> DidEvent | None:
    if did.aggregate != "count" or did.comparison != ">=" or did.number != int(did.number):
        return None
    match did.where:
        case None:
            return DidEvent(did.event, int(did.number), did.within_days or 0)
        case Equals(property_, value):
            return DidEvent(did.event, int(did.number), did.within_days or 0, property_, value)
    return None


def _choice(parts: tuple[Condition, ...]) -> HasValue | None:
    """Return one row for alternatives of one attribute, such as `city:(Porto OR Braga)`."""
    equals = [part for part in parts if isinstance(part, Equals)]
    if len(equals) != len(parts) or len({part.field for part in equals}) != 1:
        return None
    return HasValue(equals[0].field, tuple(part.value for part in equals))


def _group(condition: Condition) -> RowGroup | None:
    match condition:
        case Not(part):
            rows, mode = _rows(part), "none"
        case Or():
            rows, mode = _rows(condition), "any"
        case _:
            return None
    return RowGroup(rows, mode) if rows else None


def _rows(condition: Condition) -> tuple[Row, ...] | None:
    single = _row(condition)
    if single is not None:
        return (single,)
    found = [_row(part) for part in condition.parts] if isinstance(condition, Or) else [None]
    rows = tuple(row for row in found if row is not None)
    return rows if len(rows) == len(found) else None


def _join(kind: type[And] | type[Or], parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else kind(tuple(parts))
