"""Prints conditions in words: *Gender is Woman · Continent is Europe — and any of — …*"""

from __future__ import annotations

from dataclasses import dataclass

from regulars.base.conditions import ConditionError
from regulars.base.conditions.tree import Everything
from regulars.profiles.models import Attribute
from regulars.profiles.values import display_value

from .models import Segment
from .save import parse_cached
from .sentence import DidEvent, HasValue, InOtherSegment, InRange, IsKnown, Row, RowGroup, Sentence, to_sentence
from .small_groups import identifying_fields

OPENINGS = {"all": "", "any": "and any of: ", "none": "but not: "}


@dataclass(frozen=True)
class Vocabulary:
    """The labels of attributes, their values and segments, read once for a page."""

    attributes: dict[str, Attribute]
    segments: dict[str, str]

    @classmethod
    def load(cls) -> Vocabulary:
        attributes = {attribute.key: attribute for attribute in Attribute.objects.order_by("label")}
        return cls(attributes, dict(Segment.objects.order_by("name").values_list("slug", "name")))

    def attribute(self, key: str) -> str:
        return self.attributes[key].label if key in self.attributes else key

    def value(self, attribute: str, value: str) -> str:
        """Return one value of a condition in words: an option's label, a country's name, Yes and No."""
        found = self.attributes.get(attribute)
        if found is not None and found.type == "boolean" and value in ("true", "false"):
            return "Yes" if value == "true" else "No"
        options = {option["key"]: option["label"] for option in found.options} if found else {}
        return display_value(attribute, value, options)

    def row(self, row: Row) -> str:
        match row:
            case HasValue(attribute, values):
                return f"{self.attribute(attribute)} is {_or([self.value(attribute, each) for each in values])}"
            case InRange(attribute, low, high):
                ends = f"from {low} to {high}" if low and high else f"{low} or more" if low else f"{high} or less"
                return f"{self.attribute(attribute)} is {ends if low or high else '…'}"
            case IsKnown(attribute):
                return f"{self.attribute(attribute)} is known"
            case InOtherSegment(segment):
                return f"in {self.segments.get(segment, segment)}"
            case DidEvent(event, times, days, property_, value):
                often = "" if times == 1 else f" at least {times} times"
                lately = f" in the last {days} day{'' if days == 1 else 's'}" if days else ""
                about = f" where {property_} is {value}" if property_ else ""
                return f"{event}{about}{often}{lately}"

    def group(self, group: RowGroup) -> str:
        return OPENINGS[group.mode] + " · ".join(map(self.row, group.rows))

    def sentence(self, sentence: Sentence) -> str:
        """Return the sentence in one line; an empty one means everybody."""
        line = " — ".join(self.group(group) for group in sentence.groups if group.rows)
        return line[:1].upper() + line[1:] if line else "Everybody"

    def text(self, text: str) -> str:
        """Return a saved condition in words, or as it was written when no sentence can express it."""
        sentence = sentence_of(text)
        return text if sentence is None else self.sentence(sentence)

    def names_customers(self, text: str) -> bool:
        """Return whether a condition has values that identify a customer, so that its text is for those who may see them.

        A text that is wrong may contain anything.
        """
        try:
            return bool(identifying_fields(parse_cached(text), self.attributes))
        except ConditionError:
            return True


def sentence_of(text: str) -> Sentence | None:
    """Return the sentence of a condition's text; None when no sentence can express it or the text is wrong."""
    try:
        condition = parse_cached(text)
    except ConditionError:
        return None
    return Sentence(()) if isinstance(condition, Everything) else to_sentence(condition)


def suggested_name(sentence: Sentence, vocabulary: Vocabulary) -> str:
    """Return a name made of the sentence's values: `Woman, 25 to 34, Europe, jackets`."""
    parts = [_short(row, vocabulary) for group in sentence.groups if group.mode != "none" for row in group.rows]
    return ", ".join(dict.fromkeys(parts))[:100] or "Everybody"


def _short(row: Row, vocabulary: Vocabulary) -> str:
    match row:
        case HasValue(attribute, values):
            return _or([vocabulary.value(attribute, each) for each in values])
        case DidEvent(event, _, _, _, value):
            return value or event
    return vocabulary.row(row)


def _or(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}" if values else "…"
