"""The tree of a condition: small, frozen and comparable nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from regulars.base.errors import Invalid


@dataclass(frozen=True, slots=True)
class Everything:
    """`*`: every person."""


@dataclass(frozen=True, slots=True)
class Equals:
    """`field:value`. The value is text as written; `13` also equals the number 13, `true` the boolean."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Matches:
    """`field:jo*n`. `pieces` are the literal parts between the stars: ("jo", "n")."""

    field: str
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    value: str
    inclusive: bool


@dataclass(frozen=True, slots=True)
class Between:
    """`field:[low TO high}`; None is an open end. A partial date stands for its whole period."""

    field: str
    low: Bound | None
    high: Bound | None


@dataclass(frozen=True, slots=True)
class Exists:
    """`_exists_:field`."""

    field: str


Aggregate = Literal["count", "sum", "days", "first", "last"]
Comparison = Literal[">=", "<=", ">", "<", "="]


@dataclass(frozen=True, slots=True)
class Did:
    """`did("Order Completed" where category:jacket in 90d):>=2`.

    `count` counts events, `days` distinct UTC days, `sum` adds a property up; `first` and `last` are days since then
    (never done: no comparison holds). Behaviour is always known: not done is 0, not unknown.
    """

    event: str
    where: Condition | None = None
    within_days: int | None = None
    aggregate: Aggregate = "count"
    of: str | None = None
    comparison: Comparison = ">="
    number: float = 1.0


@dataclass(frozen=True, slots=True)
class InSegment:
    """`segment:"vip"`. Replaced by the segment's own condition (`expand`) before anything is evaluated."""

    slug: str


@dataclass(frozen=True, slots=True)
class Consented:
    """`consent:"message"`: the purpose is open for this person now."""

    purpose: str


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Condition, ...]


Condition = Everything | Equals | Matches | Between | Exists | Did | InSegment | Consented | Not | And | Or


def where_open(condition: Condition, purpose: str) -> Condition:
    """Return the condition for customers of whom the purpose is open: everybody else is out, never unknown."""
    parts = condition.parts if isinstance(condition, And) else (condition,)
    return And((Consented(purpose), *parts))


def without_events(condition: Condition, closed: str, are_ours: Callable[[str], bool]) -> Condition:
    """Return the condition for everybody, where events of sources let none of those in of whom `closed` is marked.

    `closed` is marked among the open purposes. Each `did(…)` is then false, and under a `NOT` true: the condition
    is met by none of them, neither by what they did nor by what they did not. Events of `are_ours` count for everyone.
    """

    def gated(part: Condition, *, negated: bool) -> Condition:
        match part:
            case Did(event) if not are_ours(event):
                return Or((Consented(closed), part)) if negated else And((Not(Consented(closed)), part))
            case Not(inner):
                return Not(gated(inner, negated=not negated))
            case And(parts) | Or(parts):
                return type(part)(tuple(gated(each, negated=negated) for each in parts))
        return part

    return gated(condition, negated=False)


def with_one_part_less(condition: Condition) -> Iterator[Condition]:
    """Return the condition once without each part of each `AND` and `OR` in it, at every depth, those about events included."""
    match condition:
        case And(parts) | Or(parts):
            for number, part in enumerate(parts):
                others = (*parts[:number], *parts[number + 1 :])
                yield others[0] if len(others) == 1 else type(condition)(others)
                for smaller in with_one_part_less(part):
                    yield type(condition)((*parts[:number], smaller, *parts[number + 1 :]))
        case Not(part):
            for smaller in with_one_part_less(part):
                yield Not(smaller)
        case Did(where=where) if where is not None:
            for smaller in with_one_part_less(where):
                yield replace(condition, where=smaller)


@dataclass(frozen=True)
class Mentions:
    """The data that a condition depends on; a change of it requires a new evaluation."""

    fields: frozenset[str]
    events: frozenset[str]
    segments: frozenset[str]
    purposes: frozenset[str]


def mentions(condition: Condition) -> Mentions:
    """Return the fields, events, segments and purposes of a condition (event properties are not fields)."""
    nodes = list(walk(condition))
    return Mentions(
        fields=frozenset(node.field for node in nodes if isinstance(node, Equals | Matches | Between | Exists)),
        events=frozenset(node.event for node in nodes if isinstance(node, Did)),
        segments=frozenset(node.slug for node in nodes if isinstance(node, InSegment)),
        purposes=frozenset(node.purpose for node in nodes if isinstance(node, Consented)),
    )


def walk(condition: Condition) -> Iterator[Condition]:
    """Yield every node about the person, the root first."""
    yield condition
    match condition:
        case Not(part):
            yield from walk(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from walk(part)


def expand(condition: Condition, definition: Callable[[str], Condition], inside: tuple[str, ...] = ()) -> Condition:
    """Replace every `segment:"…"` by its definition. `Invalid("segment_cycle")` when one contains itself."""
    match condition:
        case InSegment(slug):
            if slug in inside:
                raise Invalid("segment_cycle", f"Segment {slug!r} contains itself: {' → '.join((*inside, slug))}.")
            return expand(definition(slug), definition, (*inside, slug))
        case Not(part):
            return Not(expand(part, definition, inside))
        case And(parts):
            return And(tuple(expand(part, definition, inside) for part in parts))
        case Or(parts):
            return Or(tuple(expand(part, definition, inside) for part in parts))
    return condition
