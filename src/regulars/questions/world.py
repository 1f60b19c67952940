"""What the chooser reasons over: attributes as columns with a few answers each, and segments as shapes over them. Plain.

A column is one attribute with the answers that can be told apart; an attribute of many values (`interests`) is one yes/no
column per value. Whatever a segment says of other things (behaviour, free text) is a constant of the customer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from regulars.base import clock
from regulars.base.conditions import Condition, Person, holds, mentions, parse, terms_of
from regulars.base.conditions.document_terms import Terms, as_number
from regulars.base.conditions.tree import And, Between, Equals, walk

from .mixture import HOLE, Floats, Ints, Mixture
from .worth import Sets, Shape, Target, one_hot

OTHER = "\ue000"  # the rest of an open attribute: a sign for private use, which nobody writes
MOST_ANSWERS = 24
UNSETTLED = 0.5  # a part nobody can ask about and nobody knows


@dataclass(frozen=True)
class Column:
    """`answers` are the terms each answer gives; `member` names the value of a list attribute."""

    attribute: str
    answers: tuple[tuple[str, ...], ...]
    member: str = ""

    @property
    def card(self) -> int:
        return len(self.answers)

    @property
    def name(self) -> str:
        return f"{self.attribute}={self.member}" if self.member else self.attribute


@dataclass(frozen=True)
class Aim:
    """A segment worth knowing: its condition (segments in it expanded), purpose and importance."""

    slug: str
    text: str
    purpose: str
    weight: float = 1.0


@dataclass(frozen=True)
class Blueprint:
    """Everything a world is built from; hashable, so that it is built once per change.

    `closed` are attributes with their answers as JSON scalars, `lists` those whose value is a list of them, `open` are
    askable attributes of any value: their answers are what the aims can tell apart. `day` because "30 days ago" moves.
    """

    aims: tuple[Aim, ...] = ()
    closed: tuple[tuple[str, tuple[str | int | bool, ...]], ...] = ()
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()
    open: tuple[str, ...] = ()
    day: dt.date | None = None


@dataclass(frozen=True)
class _Plan:
    """An aim taken apart: sets over columns, parts that are constants of a customer, and the rest as it is."""

    aim: Aim
    sets: tuple[tuple[int, tuple[bool, ...]], ...]
    constants: tuple[Condition, ...]
    rest: Condition | None
    rest_columns: tuple[int, ...] = ()


class World:
    """Columns and aims, compiled. Holds no person."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint = blueprint
        conditions = [(aim, parse(aim.text)) for aim in blueprint.aims]
        self.parts_about = _parts_by_field([condition for _, condition in conditions])
        self.columns = self._columns()
        self.of_attribute: dict[str, list[int]] = {}
        for k, column in enumerate(self.columns):
            self.of_attribute.setdefault(column.attribute, []).append(k)
        self.plans = [self._plan(aim, condition) for aim, condition in conditions]
        self.events = frozenset().union(*(mentions(condition).events for _, condition in conditions))

    @property
    def cards(self) -> list[int]:
        return [column.card for column in self.columns]

    def row(self, terms: Terms, now: dt.datetime) -> list[int]:
        """Which answer of every column these terms give; -1 where they say nothing we can tell."""
        return [self._answer(column, terms.get(column.attribute), now) for column in self.columns]

    def evidence(self, terms: Terms, now: dt.datetime) -> list[Floats]:
        """The same as evidence for `worth`."""
        row = self.row(terms, now)
        return [np.ones(c.card) if v == HOLE else one_hot(c.card, v) for c, v in zip(self.columns, row, strict=True)]

    def targets(self, purpose: str, person: Person, now: dt.datetime) -> list[tuple[Aim, Target]]:
        """The aims of one purpose for one customer; those that what we know rules out are left out."""
        found: list[tuple[Aim, Target]] = []
        for plan in self.plans:
            if plan.aim.purpose != purpose or plan.aim.weight <= 0:
                continue
            truths = [holds(part, person, now) for part in plan.constants]
            if False in truths:
                continue
            factor = UNSETTLED ** truths.count(None)
            found.append((plan.aim, self._target(plan, factor, person, now)))
        return found

    def adapt(
        self, stored: Sequence[tuple[str, int]], mixture: Mixture, priors: dict[str, dict[str, float]]
    ) -> Mixture:
        """A stored model for these columns: those it does not know (name and number of answers) get the priors."""
        place = {known: k for k, known in enumerate(stored)}
        tables = []
        for column in self.columns:
            k = place.get((column.name, column.card))
            fallback = np.tile(prior_shares(column, priors), (mixture.types, 1))
            tables.append(mixture.answers[k] if k is not None else fallback)
        return Mixture(mixture.shares, tuple(tables))

    def _columns(self) -> tuple[Column, ...]:
        columns = [
            Column(name, tuple(tuple(terms_of({name: value}).get(name, ())) for value in values))
            for name, values in self.blueprint.closed
        ]
        for name, members in self.blueprint.lists:
            columns += [Column(name, ((), (f"s:{member}",)), member) for member in members]
        for name in self.blueprint.open:
            answers = _distinguishable(name, self.parts_about.get(name, []))
            if len(answers) > 1:
                columns.append(Column(name, answers))
        return tuple(columns)

    def _answer(self, column: Column, terms: list[str] | None, now: dt.datetime) -> int:
        if not terms:
            return HOLE
        if column.member:
            return int(f"s:{column.member}" in terms)
        for number, answer in enumerate(column.answers):
            if set(answer) & set(terms):
                return number
        if column.attribute not in self.blueprint.open:
            return HOLE
        parts = self.parts_about[column.attribute]
        signature = _signature(column.attribute, tuple(terms), parts, now)
        signatures = [_signature(column.attribute, answer, parts, now) for answer in column.answers]
        return signatures.index(signature) if signature in signatures else HOLE

    def _plan(self, aim: Aim, condition: Condition) -> _Plan:
        sets: dict[int, tuple[bool, ...]] = {}
        constants, rest = [], []
        for part in condition.parts if isinstance(condition, And) else (condition,):
            looked_at = mentions(part)
            asked = [name for name in sorted(looked_at.fields) if name in self.of_attribute]
            if not asked:
                constants.append(part)
            elif found := self._set(part, asked):
                k, allowed = found
                sets[k] = tuple(a and b for a, b in zip(sets.get(k, (True,) * len(allowed)), allowed, strict=True))
            else:
                rest.append(part)
        if not rest:
            return _Plan(aim, tuple(sets.items()), tuple(constants), None)
        fields = {name for part in [*rest] for name in mentions(part).fields}
        columns = sorted({k for name in fields for k in self.of_attribute.get(name, ())})
        return _Plan(aim, tuple(sets.items()), tuple(constants), And(tuple(rest)), tuple(columns))

    def _set(self, part: Condition, asked: list[str]) -> tuple[int, tuple[bool, ...]] | None:
        looked_at = mentions(part)
        if len(looked_at.fields) != 1 or looked_at.events or looked_at.purposes:
            return None
        columns = self.of_attribute[asked[0]]
        if len(columns) == 1 and not self.columns[columns[0]].member:
            return columns[0], self._truths(part, columns[0])
        if isinstance(part, Equals):
            return next(((k, (False, True)) for k in columns if self.columns[k].member == part.value), None)
        return None

    def _truths(self, part: Condition, k: int) -> tuple[bool, ...]:
        column, now = self.columns[k], clock.now()
        return tuple(holds(part, Person({column.attribute: list(terms)}), now) is True for terms in column.answers)

    def _target(self, plan: _Plan, factor: float, person: Person, now: dt.datetime) -> Target:
        allowed = {k: np.array(truths, float) for k, truths in plan.sets}
        if plan.rest is None:
            return Sets(allowed, plan.aim.weight, factor)
        rest, columns = plan.rest, plan.rest_columns

        def judge(rows: Ints) -> Floats:
            """Rows that look alike to the condition are judged once."""
            alike, back = np.unique(rows[:, columns], axis=0, return_inverse=True)
            truths = np.array([holds(rest, self._completed(person, columns, row), now) is True for row in alike], float)
            flags: Floats = truths[back.reshape(-1)]
            for k, allowed_answers in allowed.items():
                flags = flags * allowed_answers[rows[:, k]]
            return flags

        return Shape(judge, plan.aim.weight, factor)

    def _completed(self, person: Person, columns: Sequence[int], row: Ints) -> Person:
        terms = dict(person.terms)
        for k in columns:
            terms[self.columns[k].attribute] = []
        for k, answer in zip(columns, row, strict=True):
            column = self.columns[k]
            terms[column.attribute] = [*terms[column.attribute], *column.answers[answer]]
        return Person(terms, person.events)


@lru_cache(maxsize=16)
def world_of(blueprint: Blueprint) -> World:
    return World(blueprint)


def prior_shares(column: Column, priors: dict[str, dict[str, float]]) -> Floats:
    """What an operator typed ("about 60 % women"), the rest spread evenly; evenly altogether when she typed nothing."""
    typed = priors.get(column.attribute, {})
    given = [next((typed[t[2:]] for t in terms if t[2:] in typed), None) for terms in column.answers]
    if column.member:
        share = typed.get(column.member)
        given = [None, share] if share is not None else [None, None]
    left = max(1.0 - sum(share for share in given if share is not None), 0.0)
    unsaid = given.count(None)
    shares = np.array([left / unsaid if share is None else share for share in given])
    shares = np.maximum(shares, 1e-3)
    normal: Floats = shares / shares.sum()
    return normal


def _parts_by_field(conditions: Sequence[Condition]) -> dict[str, list[Condition]]:
    """Every comparison in every condition, by the field it is about."""
    found: dict[str, list[Condition]] = {}
    for node in (node for condition in conditions for node in walk(condition)):
        fields = mentions(node).fields if not hasattr(node, "parts") and not hasattr(node, "part") else ()
        for name in fields:
            if node not in found.setdefault(name, []):
                found[name].append(node)
    return found


def _distinguishable(name: str, parts: Sequence[Condition]) -> tuple[tuple[str, ...], ...]:
    """One answer for each way of being told apart: the values named, between and beyond them, and anything else."""
    texts = sorted({text for part in parts for text in _literals(part)})
    numbers = sorted(number for number in (as_number(text) for text in texts) if number is not None)
    between = [(low + high) / 2 for low, high in pairwise(numbers)]
    beyond = [numbers[0] - 1, numbers[-1] + 1] if numbers else []
    values: list[str | float] = [*numbers, *between, *beyond] if numbers else [*texts, OTHER]
    now, answers, seen = clock.now(), [], set()
    for value in values:
        terms = tuple(terms_of({name: value}).get(name, ()))
        signature = _signature(name, terms, parts, now)
        if signature not in seen:
            seen.add(signature)
            answers.append(terms)
    return tuple(answers[:MOST_ANSWERS])


def _literals(part: Condition) -> list[str]:
    match part:
        case Equals(_, value):
            return [value]
        case Between(_, low, high):
            return [bound.value for bound in (low, high) if bound]
    return []


def _signature(
    name: str, terms: tuple[str, ...], parts: Sequence[Condition], now: dt.datetime
) -> tuple[bool | None, ...]:
    return tuple(holds(part, Person({name: list(terms)}), now) for part in parts)
