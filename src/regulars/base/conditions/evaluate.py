"""Evaluate a condition over one person, in Python."""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from . import range_bounds
from .document_terms import CONSENT_PATH, Terms, fold_case, is_number, literal_terms
from .range_bounds import bounded_days
from .tree import And, Between, Condition, Consented, Did, Equals, Everything, Exists, InSegment, Matches, Not, Or

COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}


@dataclass(frozen=True)
class EventSeen:
    """One event of the person: when (aware), and its properties as terms."""

    at: dt.datetime
    terms: Terms


@dataclass(frozen=True)
class Person:
    """The data of one person: terms by path (open purposes under `consent`), and events by name."""

    terms: Terms
    events: Callable[[str], Sequence[EventSeen]] = lambda name: ()


def holds(condition: Condition, person: Person, now: dt.datetime) -> bool | None:
    """Evaluate in the open world: True, False, or None when missing data decides."""
    return _Evaluation(person, now, open_world=True).truth(condition)


def matches(condition: Condition, person: Person, now: dt.datetime) -> bool:
    """Evaluate in the closed world: missing data does not match."""
    return _Evaluation(person, now, open_world=False).truth(condition) is True


@dataclass(frozen=True)
class _Evaluation:
    person: Person
    now: dt.datetime
    open_world: bool

    def truth(self, condition: Condition) -> bool | None:
        match condition:
            case Everything():
                return True
            case And(parts):
                return _conjunction(self.truth(part) for part in parts)
            case Or(parts):
                return _negation(_conjunction(_negation(self.truth(part)) for part in parts))
            case Not(part):
                return _negation(self.truth(part))
            case Exists(path):
                return path in self.person.terms
            case Consented(purpose):
                return f"s:{purpose}" in self.person.terms.get(CONSENT_PATH, ())
            case Did():
                return self._did(condition)
            case InSegment(slug):
                raise ValueError(f"segment {slug!r} was not expanded")
        return self._about(condition)

    def _about(self, condition: Equals | Matches | Between) -> bool | None:
        terms = self.person.terms.get(condition.field)
        if not terms:
            return None if self.open_world else False
        test = _test(condition, self.now)
        truths = [test(term) for term in terms]
        if any(truths):
            return True
        return None if self.open_world and None in truths else False

    def _did(self, did: Did) -> bool:
        seen = [event for event in self.person.events(did.event) if self._counts(event, did)]
        if did.aggregate in ("first", "last"):
            return self._compare_instant(did, [event.at for event in seen])
        match did.aggregate:
            case "days":
                total = float(len({event.at.astimezone(dt.UTC).date() for event in seen}))
            case "sum":
                numbers = (
                    term
                    for event in seen
                    for term in event.terms.get(did.of or "", ())
                    if term[0] == "n" and len(term) < 300
                )
                total = sum(float(term[2:]) for term in numbers)
            case _:
                total = float(len(seen))
        return COMPARE[did.comparison](total, did.number)

    def _compare_instant(self, did: Did, times: list[dt.datetime]) -> bool:
        """Compare instants, not ages, which would round: `last:<=30` is "at or after the instant 30 days ago"."""
        if not times:
            return False
        edge = min(times) if did.aggregate == "first" else max(times)
        cutoff = self.now - dt.timedelta(days=bounded_days(did.number))
        return COMPARE[did.comparison](cutoff.timestamp(), edge.timestamp())

    def _counts(self, event: EventSeen, did: Did) -> bool:
        if did.within_days is not None and event.at < self.now - dt.timedelta(days=bounded_days(did.within_days)):
            return False
        return did.where is None or matches(did.where, Person(event.terms), self.now)


def _test(condition: Equals | Matches | Between, now: dt.datetime) -> Callable[[str], bool | None]:
    """Return the test of one term; None: the term cannot be compared."""
    match condition:
        case Equals(path, value):
            wanted = {term for text in range_bounds.equal_texts(value, now) for term in literal_terms(path, text)}
            return lambda term: term in wanted
        case Matches():
            return lambda term: term[:2] == "s:" and _fits(term[2:], condition)
        case Between():
            return _within(condition, now)


def _within(between: Between, now: dt.datetime) -> Callable[[str], bool | None]:
    texts, numbers = range_bounds.text_ranges(between, now), range_bounds.number_range(between)
    is_numeric, years = range_bounds.is_numeric(between), range_bounds.covers_years(between)

    def test(term: str) -> bool | None:
        kind, value = term[:2], term[2:]
        if kind == "n:":
            return numbers is not None and numbers.holds(value)
        if kind != "s:":
            return False
        if not is_numeric:
            return texts.holds(value)
        if numbers is not None and is_number(value):
            return numbers.holds(value)
        return texts.holds(value) if years and range_bounds.has_shape(value, range_bounds.DATED) else None

    return test


def _fits(text: str, condition: Matches) -> bool:
    first, *middle, last = (fold_case(condition.field, piece) for piece in condition.pieces)
    if not text.startswith(first):
        return False
    position = len(first)
    for piece in middle:
        found = text.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    return len(text) - len(last) >= position and text.endswith(last)


def _conjunction(values: Iterable[bool | None]) -> bool | None:
    """Return Kleene's AND: one false decides, else one unknown does."""
    unknown = False
    for value in values:
        if value is False:
            return False
        unknown = unknown or value is None
    return None if unknown else True


def _negation(value: bool | None) -> bool | None:
    return None if value is None else not value
