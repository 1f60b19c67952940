"""Conclusions and looked-up facts count only while the facts that they follow from win. Plain functions over plain values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from regulars.base.json_values import same_json

from .resolve import KnownFact, expired, resolve


def fallen(facts: Sequence[KnownFact], now: dt.datetime, half_lives: Mapping[str, int | None]) -> set[int]:
    """Return the ids of those usable facts of one customer whose premises do not win among them.

    "Income of the area" of a postal code that the customer corrected says nothing about them any more, for any use.
    A premise wins while the value of its attribute is the one it had, whichever source says so now. One that is not among
    `facts` (retracted, closed, deleted) or that expired does not win. Give all usable facts, not those of one purpose: a
    conclusion may serve purposes that its premise does not.
    """
    if not any(fact.derived_from for fact in facts):
        return set()
    premises = _Premises(facts, now, half_lives)
    return {fact.id for fact in facts if not premises.stand(fact)}


class _Premises:
    def __init__(self, facts: Sequence[KnownFact], now: dt.datetime, half_lives: Mapping[str, int | None]) -> None:
        self.now, self.half_lives = now, half_lives
        self.by_id = {fact.id: fact for fact in facts}
        self.by_attribute: dict[str, list[KnownFact]] = {}
        for fact in facts:
            self.by_attribute.setdefault(fact.attribute, []).append(fact)
        self.values: dict[str, Any] = {}
        self.asked: set[str] = set()

    def stand(self, fact: KnownFact) -> bool:
        return all(self._wins(premise) for premise in fact.derived_from)

    def _wins(self, premise: int) -> bool:
        fact = self.by_id.get(premise)
        if fact is None or fact.value is None or expired(fact, self.now):
            return False
        return same_json(self._value(fact.attribute), fact.value)

    def _value(self, attribute: str) -> Any:
        """Return the winning value of an attribute. Two conclusions that follow from each other prove nothing."""
        if attribute in self.values:
            return self.values[attribute]
        rows = self.by_attribute[attribute]
        if attribute in self.asked:
            return self._winner(attribute, [fact for fact in rows if not fact.derived_from])
        self.asked.add(attribute)
        value = self.values[attribute] = self._winner(attribute, [fact for fact in rows if self.stand(fact)])
        return value

    def _winner(self, attribute: str, rows: Sequence[KnownFact]) -> Any:
        found = resolve(rows, self.now, self.half_lives.get(attribute))
        return found.value if found else None
