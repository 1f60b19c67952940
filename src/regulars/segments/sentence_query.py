"""A sentence in a query string: the address of a page holds what its builder shows, so it can be shared and kept.

`g0=all` opens a group, `g0.0=is` a row in it, `g0.0.what=gender` and `g0.0.value=female` (as often as there are values)
fill the row. Rows may be incomplete: they are shown and not counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qs, urlencode

from django.utils.datastructures import MultiValueDict

from regulars.base.errors import Invalid

from .sentence import DidEvent, HasValue, InOtherSegment, InRange, IsKnown, Row, RowGroup, Sentence

Query = MultiValueDict[str, str]
MODES = ("all", "any", "none")
MOST_ROWS = 60
ONCE, EVER = 1, 0
_KEY = re.compile(r"g(\d{1,4})(?:\.(\d{1,4}))?")


def to_query(sentence: Sentence) -> list[tuple[str, str]]:
    """Return the pairs of a query string, in order; `from_query` reads them back as the same sentence."""
    pairs: list[tuple[str, str]] = []
    for number, group in enumerate(sentence.groups):
        pairs.append((f"g{number}", group.mode))
        for index, row in enumerate(group.rows):
            name = f"g{number}.{index}"
            pairs += [(f"{name}.{key}" if key else name, value) for key, value in _pairs_of(row)]
    return pairs


def from_query(query: Query) -> Sentence:
    """Return the sentence in a query, ignoring other keys. Raises `Invalid("too_many_conditions")`."""
    rows: dict[int, dict[int, Row]] = {}
    modes: dict[int, str] = {}
    for key in query:
        match = _KEY.fullmatch(key)
        if match is None:
            continue
        group = int(match[1])
        if match[2] is None:
            modes[group] = query.get(key, "")
        elif (row := row_of(_Fields(query, key), query.get(key, ""))) is not None:
            rows.setdefault(group, {})[int(match[2])] = row
    if sum(map(len, rows.values())) > MOST_ROWS or len(modes) > MOST_ROWS:
        raise Invalid(
            "too_many_conditions", f"A sentence has at most {MOST_ROWS} conditions. Save a part and refer to it."
        )
    groups = []
    for number in sorted({*rows, *modes}):
        ordered = tuple(row for _, row in sorted(rows.get(number, {}).items(), key=lambda item: item[0]))
        groups.append(RowGroup(ordered, modes[number] if modes.get(number) in MODES else "all"))
    return Sentence(tuple(groups))


def row_of(fields: _Fields, kind: str) -> Row | None:
    """Return one row from its fields; None for an unknown kind."""
    match kind:
        case "is":
            return HasValue(fields.text("what"), tuple(value for value in fields.texts("value") if value))
        case "within":
            return InRange(fields.text("what"), fields.text("low"), fields.text("high"))
        case "known":
            return IsKnown(fields.text("what"))
        case "in":
            return InOtherSegment(fields.text("what"))
        case "did":
            times, days = fields.number("times", ONCE), fields.number("days", EVER)
            return DidEvent(fields.text("what"), times, days, fields.text("where"), fields.text("equals"))
    return None


def is_edit(query: Query) -> bool:
    """Return whether a button that adds or removes was pressed."""
    return any(key in ("group", "drop") or (key.startswith("add") and query[key]) for key in query)


def edited(sentence: Sentence, query: Query) -> tuple[Sentence, str]:
    """Return the sentence after the pressed button, and the name of the row or group to continue with."""
    groups = [list(group.rows) for group in sentence.groups] or [[]]
    modes = [group.mode for group in sentence.groups] or ["all"]
    place = ""
    for number in range(len(groups)):
        added = parse_qs(query.get(f"add{number}", "")[:2000])
        fields: Query = MultiValueDict({f"new.{key}": values for key, values in added.items()})
        if row := row_of(_Fields(fields, "new"), fields.get("new.kind", "")):
            groups[number].append(row)
            place = f"g{number}.{len(groups[number]) - 1}"
    if (mode := query.get("group", "")) in MODES:
        groups.append([])
        modes.append(mode)
        place = f"g{len(groups) - 1}"
    _drop(groups, modes, query.get("drop", ""))
    return Sentence(tuple(RowGroup(tuple(rows), mode) for rows, mode in zip(groups, modes, strict=True))), place


def choice(kind: str, what: str, **more: str) -> str:
    """Return the value of a choice of "add a condition": the fields of the new row as a query string."""
    return urlencode({"kind": kind, "what": what, **more})


def _drop(groups: list[list[Row]], modes: list[str], which: str) -> None:
    match = _KEY.fullmatch(which)
    if match is None or int(match[1]) >= len(groups):
        return
    group = int(match[1])
    if match[2] is None:
        del groups[group], modes[group]
    elif int(match[2]) < len(groups[group]):
        del groups[group][int(match[2])]


def _pairs_of(row: Row) -> Iterable[tuple[str, str]]:
    match row:
        case HasValue(attribute, values):
            return [("", "is"), ("what", attribute), *(("value", value) for value in values)]
        case InRange(attribute, low, high):
            return [("", "within"), ("what", attribute), ("low", low), ("high", high)]
        case IsKnown(attribute):
            return [("", "known"), ("what", attribute)]
        case InOtherSegment(segment):
            return [("", "in"), ("what", segment)]
        case DidEvent(event, times, days, property_, value):
            counts = [("times", str(times)), ("days", str(days))]
            return [("", "did"), ("what", event), *counts, ("where", property_), ("equals", value)]


class _Fields:
    """Reads the fields of one row in a query. NUL is removed: databases refuse it."""

    def __init__(self, query: Query, name: str) -> None:
        self.query, self.name = query, name

    def texts(self, key: str) -> list[str]:
        return [value.replace("\0", "") for value in self.query.getlist(f"{self.name}.{key}")]

    def text(self, key: str) -> str:
        return next(iter(self.texts(key)), "")

    def number(self, key: str, otherwise: int) -> int:
        text = self.text(key).strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else otherwise
