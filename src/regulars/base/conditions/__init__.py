"""One language for who and when: one tree, two readings (closed and open world), Python and four SQL dialects."""

from .dialects import DIALECT_OF
from .parse import BadCondition, parse, parse_search
from .person import EventSeen, Person, holds, matches
from .sql import Schema, where
from .terms import event_terms, terms_of
from .tree import Condition, expand, mentions
from .write import to_text

__all__ = [
    "DIALECT_OF",
    "BadCondition",
    "Condition",
    "EventSeen",
    "Person",
    "Schema",
    "event_terms",
    "expand",
    "holds",
    "matches",
    "mentions",
    "parse",
    "parse_search",
    "terms_of",
    "to_text",
    "where",
]
