"""The condition language: one tree, open and closed world, evaluated in Python and in four SQL dialects."""

from .dialects import DIALECT_OF
from .document_terms import event_terms, terms_of
from .evaluate import EventSeen, Person, holds, matches
from .needed_events import NeededEvents, needed_events
from .parse import ConditionError, parse, parse_search
from .printer import to_text
from .sql import Schema, where
from .tree import Condition, expand, mentions, where_open, without_events

__all__ = [
    "DIALECT_OF",
    "Condition",
    "ConditionError",
    "EventSeen",
    "NeededEvents",
    "Person",
    "Schema",
    "event_terms",
    "expand",
    "holds",
    "matches",
    "mentions",
    "needed_events",
    "parse",
    "parse_search",
    "terms_of",
    "to_text",
    "where",
    "where_open",
    "without_events",
]
