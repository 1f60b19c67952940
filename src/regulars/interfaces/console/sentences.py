"""Conditions in a marketer's words: *Gender is Woman · Continent is Europe — and any of — …*"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from regulars.base.conditions import Condition, ConditionError, parse
from regulars.base.conditions.tree import Everything
from regulars.profiles.models import Attribute
from regulars.segments.models import Segment
from regulars.segments.sentence import Belongs, Group, Happened, Is, Known, Row, Sentence, Within, to_sentence

from . import words

OPENINGS = {"all": "", "any": "and any of: ", "none": "but not: "}


@dataclass(frozen=True)
class Vocabulary:
    """What attributes, their values and segments are called, read once for a page."""

    attributes: dict[str, Attribute]
    segments: dict[str, str]

    @classmethod
    def of_house(cls) -> Vocabulary:
        attributes = {attribute.key: attribute for attribute in Attribute.objects.order_by("label")}
        return cls(attributes, dict(Segment.objects.order_by("name").values_list("slug", "name")))

    def attribute(self, key: str) -> str:
        return self.attributes[key].label if key in self.attributes else key

    def value(self, attribute: str, value: str) -> str:
        """One value as text in a condition: an option's label, a country's name, Yes and No."""
        found = self.attributes.get(attribute)
        if found is not None and found.type == "boolean" and value in ("true", "false"):
            return "Yes" if value == "true" else "No"
        options = {option["key"]: option["label"] for option in found.options} if found else {}
        return words.value(attribute, value, options)

    def row(self, row: Row) -> str:
        match row:
            case Is(attribute, values):
                return f"{self.attribute(attribute)} is {_or([self.value(attribute, each) for each in values])}"
            case Within(attribute, low, high):
                return f"{self.attribute(attribute)} is {_range(low, high)}"
            case Known(attribute):
                return f"{self.attribute(attribute)} is known"
            case Belongs(segment):
                return f"in {self.segments.get(segment, segment)}"
            case Happened(event, times, days, property_, value):
                often = "" if times == 1 else f" at least {times} times"
                lately = f" in the last {days} day{'' if days == 1 else 's'}" if days else ""
                about = f" where {property_} is {value}" if property_ else ""
                return f"{event}{about}{often}{lately}"

    def group(self, group: Group) -> str:
        return OPENINGS[group.mode] + " · ".join(map(self.row, group.rows))

    def sentence(self, sentence: Sentence) -> str:
        """The sentence in one line; an empty one means everybody."""
        said = " — ".join(self.group(group) for group in sentence.groups if group.rows)
        return said[:1].upper() + said[1:] if said else "Everybody"

    def text(self, text: str) -> str:
        """A saved condition in words, or as it was written when it is too free for a sentence."""
        sentence = sentence_of(text)
        return text if sentence is None else self.sentence(sentence)


def sentence_of(text: str) -> Sentence | None:
    """The sentence that a text stands for; None when it is too free for one, or wrong."""
    try:
        condition = _parsed(text)
    except ConditionError:
        return None
    return Sentence(()) if isinstance(condition, Everything) else to_sentence(condition)


def suggested_name(sentence: Sentence, vocabulary: Vocabulary) -> str:
    """A name of the sentence's own values: `Woman, 25 to 34, Europe, jackets`."""
    said = [_short(row, vocabulary) for group in sentence.groups if group.mode != "none" for row in group.rows]
    return ", ".join(dict.fromkeys(said))[:100] or "Everybody"


def _short(row: Row, vocabulary: Vocabulary) -> str:
    match row:
        case Is(attribute, values):
            return _or([vocabulary.value(attribute, each) for each in values])
        case Happened(event, _, _, _, value):
            return value or event
    return vocabulary.row(row)


def _or(said: list[str]) -> str:
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} or {said[-1]}" if said else "…"


def _range(low: str, high: str) -> str:
    if low and high:
        return f"from {low} to {high}"
    return f"{low} or more" if low else f"{high} or less" if high else "…"


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Condition:
    return parse(text)
