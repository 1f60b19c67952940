"""The model of the sentence builder: one form per row, what can be added, and hints for rows that can never match."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from regulars.base.conditions.document_terms import as_number
from regulars.profiles.models import Attribute

from .known import KnownAttribute, Overview, SeenEvent
from .sentence import DidEvent, HasValue, InOtherSegment, InRange, IsKnown, Row, RowGroup, Sentence
from .sentence_query import choice
from .small_groups import SMALL_GROUP, identifies
from .vocabulary import Vocabulary

MODES = (("all", "all of these"), ("any", "any of these"), ("none", "none of these"))
OPERATORS = (("is", "is one of"), ("within", "is between"), ("known", "is known"))
KINDS = {HasValue: "is", InRange: "within", IsKnown: "known"}
INPUTS = {"date": "date", "number": "number"}
SHORTCUTS = 8  # values offered at once; the row itself offers more
Choice = tuple[str, str]


@dataclass(frozen=True)
class ValueOption:
    value: str
    label: str
    people: int
    chosen: bool


@dataclass(frozen=True)
class RowForm:
    """One row as a form: `name` prefixes its fields, `kind` picks its controls."""

    name: str
    kind: str
    row: Row
    label: str
    fill: int | None = None  # percent of people of whom the attribute is known
    input: str = "text"
    options: list[ValueOption] = field(default_factory=list)
    suggestions: list[Choice] = field(default_factory=list)
    properties: list[str] = field(default_factory=list)
    hint: str = ""


@dataclass(frozen=True)
class GroupForm:
    name: str
    number: int
    mode: str
    rows: list[RowForm]


@dataclass(frozen=True)
class SentenceForms:
    """Builds the forms of a sentence for a purpose, from the vocabulary and the lake's overview.

    Without `exact` there are no numbers beside the choices, and no choice that identifies a customer; `known` is then
    `Overview.of_groups()`.
    """

    purpose: str
    vocabulary: Vocabulary
    known: Overview
    exact: bool = True

    def groups(self, sentence: Sentence) -> list[GroupForm]:
        return [self._group(number, group) for number, group in enumerate(sentence.groups or (RowGroup(()),))]

    def choices(self) -> Iterator[tuple[str, list[Choice]]]:
        """Yield heading and choices of "add a condition"; each value is a query string (`sentence_query.choice`)."""
        others: list[Choice] = []
        for attribute in self.vocabulary.attributes.values():
            if self.purpose not in attribute.purposes or (identifies(attribute) and not self.exact):
                continue
            shortcuts = self._shortcuts(attribute)
            if shortcuts:
                yield self._heading(attribute), shortcuts
            else:
                kind = "within" if attribute.type in INPUTS else "is"
                others.append((choice(kind, attribute.key), f"{self._heading(attribute)} …"))
        yield "More about them", others
        for name, event in self.known.events.items():
            yield name, self._event_choices(name, event)
        yield "Something else they did", [(choice("did", ""), "Another event …")]
        if self.vocabulary.segments:
            yield "Segments", [(choice("in", slug), f"in {name}") for slug, name in self.vocabulary.segments.items()]

    def _heading(self, attribute: Attribute) -> str:
        return f"{attribute.label} (known for {self._fill(attribute.key)} %)" if self.exact else attribute.label

    def _shortcuts(self, attribute: Attribute) -> list[Choice]:
        options = [option for option in self._options(attribute.key, ()) if option.label][:SHORTCUTS]
        if not options:
            return []
        values = [
            (
                choice("is", attribute.key, value=each.value),
                f"{each.label} ({each.people:,})" if each.people and self.exact else each.label,
            )
            for each in options
        ]
        return [
            *values,
            (choice("is", attribute.key), f"{attribute.label}: choose several …"),
            (choice("known", attribute.key), f"{attribute.label} is known"),
        ]

    def _event_choices(self, name: str, event: SeenEvent) -> list[Choice]:
        often = f"{event.times:,} time{'' if event.times == 1 else 's'} recently"
        choices = [(choice("did", name), f"{name} ({often})" if self.exact else name)]
        for property_, values in event.properties.items():
            if 1 < len(values) <= SHORTCUTS:
                choices += [
                    (choice("did", name, where=property_, equals=each), f"{name}: {property_} is {each}")
                    for each in values
                ]
        return choices

    def _group(self, number: int, group: RowGroup) -> GroupForm:
        rows = [self._row(f"g{number}.{index}", row) for index, row in enumerate(group.rows)]
        return GroupForm(f"g{number}", number, group.mode, rows)

    def _row(self, name: str, row: Row) -> RowForm:
        match row:
            case DidEvent():
                return self._event_row(name, row)
            case InOtherSegment(segment):
                hint = "" if segment in self.vocabulary.segments else "There is no such segment."
                return RowForm(
                    name, "in", row, "Is in the segment", suggestions=list(self.vocabulary.segments.items()), hint=hint
                )
        attribute, kind = self.vocabulary.attributes.get(row.attribute), KINDS[type(row)]
        type_ = INPUTS.get(attribute.type, "text") if attribute else "text"
        chosen = row.values if isinstance(row, HasValue) else ()
        options = self._options(row.attribute, chosen)
        boxes = attribute is not None and attribute.type in ("choice", "boolean")
        ends = row.values if isinstance(row, HasValue) else (row.low, row.high) if isinstance(row, InRange) else ()
        length = {"date": 10}.get(type_)
        # a date or number control shows nothing for a value such as `now-30d`
        is_shown = all(
            not end or (len(end) == length if length else end.lstrip("-").replace(".", "", 1).isdigit()) for end in ends
        )
        return RowForm(
            name,
            kind,
            row,
            self.vocabulary.attribute(row.attribute),
            fill=self._fill(row.attribute) if self.exact else None,
            input=type_ if is_shown else "text",
            options=options if boxes else [],
            suggestions=[] if boxes else [(option.value, option.label) for option in options],
            hint=self._hint(row.attribute, attribute, row),
        )

    def _event_row(self, name: str, row: DidEvent) -> RowForm:
        seen = self.known.events.get(row.event)
        unseen = (
            "Not seen in the last 90 days."
            if self.exact
            else f"Fewer than {SMALL_GROUP} customers did this in the last 90 days."
        )
        hint = unseen if row.event and seen is None else ""
        properties = seen.properties if seen else {}
        values = properties.get(row.property, {}) if row.property else {}
        events = [(event, event) for event in self.known.events]
        return RowForm(
            name,
            "did",
            row,
            row.event or "Something they did",
            options=[ValueOption(value, value, 0, value == row.value) for value in values],
            properties=sorted({*properties, *([row.property] if row.property else [])}),
            suggestions=events,
            hint=hint,
        )

    def _options(self, key: str, chosen: tuple[str, ...]) -> list[ValueOption]:
        """Return an attribute's values and how many have them: the declared ones in their order, else the common ones."""
        attribute = self.vocabulary.attributes.get(key)
        common = self.known.attributes.get(key, KnownAttribute()).values
        declared = [str(option["key"]) for option in attribute.options] if attribute else []
        if attribute and attribute.type == "boolean":
            declared = ["true", "false"]
        values = dict.fromkeys([*(declared or common), *chosen])
        return [
            ValueOption(
                each, self.vocabulary.value(key, each), common.get(each, 0) if self.exact else 0, each in chosen
            )
            for each in values
        ]

    def _fill(self, key: str) -> int:
        people = self.known.attributes.get(key, KnownAttribute()).people
        return round(100 * people / self.known.everybody) if self.known.everybody else 0

    def _hint(self, key: str, attribute: Attribute | None, row: Row) -> str:
        """Return why a row can never match; empty when it can."""
        if attribute is not None and self.purpose not in attribute.purposes:
            return "This may not be used for the purpose you chose, so it is unknown for every customer."
        if self.known.everybody and key not in self.known.attributes:
            who = "No customer has" if self.exact else f"Fewer than {SMALL_GROUP} customers have"
            return f"{who} a known value for the purpose you chose."
        if isinstance(row, InRange) and row.low and row.high:
            low, high = as_number(row.low), as_number(row.high)
            is_backwards = row.low > row.high if low is None or high is None else low > high
            if is_backwards and "now" not in row.low + row.high:
                return "The first end lies after the last, so no customer can match."
        return ""


def countable(attributes: dict[str, Attribute], purpose: str) -> list[str]:
    """Return the attributes whose values may be counted for a purpose."""
    return [
        attribute.key
        for attribute in attributes.values()
        if purpose in attribute.purposes and attribute.type not in INPUTS and not identifies(attribute)
    ]
