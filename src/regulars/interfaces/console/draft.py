"""A sentence in an address: what the builder shows stands in its query, so it can be shared, kept and gone back to.

`g0=all` opens a group, `g0.0=is` a row in it, `g0.0.what=gender` and `g0.0.value=female` (as often as there are values)
fill the row. Rows may be half-done: they are shown and not counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import parse_qs

from django.http import QueryDict

from regulars.base.errors import Invalid
from regulars.segments.sentence import Belongs, Group, Happened, Is, Known, Row, Sentence, Within

MODES = ("all", "any", "none")
MOST_ROWS = 60
ONCE, EVER = 1, 0
_KEY = re.compile(r"g(\d{1,4})(?:\.(\d{1,4}))?")


def to_query(sentence: Sentence) -> list[tuple[str, str]]:
    """The sentence as pairs of a query string, in order; `of_query` reads them back as the same sentence."""
    pairs: list[tuple[str, str]] = []
    for number, group in enumerate(sentence.groups):
        pairs.append((f"g{number}", group.mode))
        for index, row in enumerate(group.rows):
            name = f"g{number}.{index}"
            kind, *fields = _pairs_of(row)
            pairs.append((name, kind[1]))
            pairs += [(f"{name}.{key}", value) for key, value in fields]
    return pairs


def of_query(query: QueryDict) -> Sentence:
    """The sentence a query holds; what is not part of one is passed over. Raises `Invalid("too_many_conditions")`."""
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
    return Sentence(tuple(_group(rows.get(number, {}), modes.get(number, "")) for number in sorted({*rows, *modes})))


def row_of(fields: _Fields, kind: str) -> Row | None:
    """One row from its fields."""
    match kind:
        case "is":
            return Is(fields.text("what"), tuple(value for value in fields.texts("value") if value))
        case "within":
            return Within(fields.text("what"), fields.text("low"), fields.text("high"))
        case "known":
            return Known(fields.text("what"))
        case "in":
            return Belongs(fields.text("what"))
        case "did":
            times, days = fields.number("times", ONCE), fields.number("days", EVER)
            return Happened(fields.text("what"), times, days, fields.text("where"), fields.text("equals"))
    return None


def is_complete(row: Row) -> bool:
    """Whether a row says something yet."""
    match row:
        case Is(attribute, values):
            return bool(attribute and values)
        case Within(attribute, low, high):
            return bool(attribute and (low or high))
        case Known(attribute):
            return bool(attribute)
        case Belongs(segment):
            return bool(segment)
        case Happened(event, times, _, property_, value):
            return bool(event and times > 0 and bool(property_) == bool(value))


def complete(sentence: Sentence) -> Sentence:
    """The part of the sentence that can be counted."""
    groups = (replace(group, rows=tuple(filter(is_complete, group.rows))) for group in sentence.groups)
    return Sentence(tuple(group for group in groups if group.rows))


def asks_for_change(query: QueryDict) -> bool:
    """Whether a button that adds or takes away was pressed."""
    return any(key in ("group", "drop") or (key.startswith("add") and query[key]) for key in query)


def changed(sentence: Sentence, query: QueryDict) -> tuple[Sentence, str]:
    """The sentence after the button that was pressed, and the name of the row or group to go on with."""
    groups = [list(group.rows) for group in sentence.groups] or [[]]
    modes = [group.mode for group in sentence.groups] or ["all"]
    place = ""
    for number in range(len(groups)):
        if row := _added(query.get(f"add{number}", "")):
            groups[number].append(row)
            place = f"g{number}.{len(groups[number]) - 1}"
    if (mode := query.get("group", "")) in MODES:
        groups.append([])
        modes.append(mode)
        place = f"g{len(groups) - 1}"
    _drop(groups, modes, query.get("drop", ""))
    return Sentence(tuple(Group(tuple(rows), mode) for rows, mode in zip(groups, modes, strict=True))), place


def choice(kind: str, what: str, **more: str) -> QueryDict:
    """What a choice of "add a condition" stands for; `.urlencode()` is its value in the page."""
    query = QueryDict(mutable=True)
    query.update({"kind": kind, "what": what, **more})
    return query


def _added(text: str) -> Row | None:
    query = QueryDict(mutable=True)
    for key, values in parse_qs(text[:2000]).items():
        query.setlist(f"new.{key}", values)
    return row_of(_Fields(query, "new"), query.get("new.kind", ""))


def _drop(groups: list[list[Row]], modes: list[str], which: str) -> None:
    match = _KEY.fullmatch(which)
    if match is None or int(match[1]) >= len(groups):
        return
    group = int(match[1])
    if match[2] is None:
        del groups[group], modes[group]
    elif int(match[2]) < len(groups[group]):
        del groups[group][int(match[2])]


def _group(rows: dict[int, Row], mode: str) -> Group:
    return Group(tuple(rows[index] for index in sorted(rows)), mode if mode in MODES else "all")


def _pairs_of(row: Row) -> Iterable[tuple[str, str]]:
    match row:
        case Is(attribute, values):
            return [("", "is"), ("what", attribute), *(("value", value) for value in values)]
        case Within(attribute, low, high):
            return [("", "within"), ("what", attribute), ("low", low), ("high", high)]
        case Known(attribute):
            return [("", "known"), ("what", attribute)]
        case Belongs(segment):
            return [("", "in"), ("what", segment)]
        case Happened(event, times, days, property_, value):
            counts = [("times", str(times)), ("days", str(days))]
            return [("", "did"), ("what", event), *counts, ("where", property_), ("equals", value)]


class _Fields:
    """The fields of one row in a query. A NUL is no part of any text: databases refuse it."""

    def __init__(self, query: QueryDict, name: str) -> None:
        self.query, self.name = query, name

    def texts(self, key: str) -> list[str]:
        return [value.replace("\0", "") for value in self.query.getlist(f"{self.name}.{key}")]

    def text(self, key: str) -> str:
        return next(iter(self.texts(key)), "")

    def number(self, key: str, otherwise: int) -> int:
        text = self.text(key).strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else otherwise
