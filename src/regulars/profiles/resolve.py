"""Resolve disagreeing facts: which value wins now. Plain functions over plain values.

Order: (tier, reliability x freshness, as_of, id), highest wins, so the result does not depend on the order in
which facts arrived. Facts that are not permitted are removed *before* the ranking, never after it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from regulars.base.json_values import is_empty, same_json

from .assertions import PROOFS, RULES, Asserter, Rank, thing_of, voice

# How it was said: a correction by the customer beats an answer, an answer beats a verified social claim, and so on to
# statistics. Who said it limits this: `assertions.RULES` has the highest rank of each asserter.
TIERS = {
    "corrected": (Rank.CORRECTED, 0.99),
    "declared": (Rank.STATED, 0.95),
    "verified": (Rank.VOUCHED, 0.90),
    "observed": (Rank.OBSERVED, 0.85),
    "social": (Rank.REPORTED, 0.75),
    "imported": (Rank.REPORTED, 0.75),
    "enriched": (Rank.LOOKED_UP, 0.65),
    "inferred": (Rank.GUESSED, 0.50),
}


@dataclass(frozen=True, slots=True)
class KnownFact:
    """A fact as `resolve` needs it. `value` is any JSON value; None: removed by its source.

    `collected_at` is when the source said it first, `confirmed_at` when it repeated it last (None: never).
    `derived_from`: ids of the facts it follows from (`premises`).
    """

    id: int
    attribute: str
    value: Any
    source_kind: str
    source: str
    collected_at: dt.datetime
    asserter: Asserter
    confidence: float = 1.0
    expires_at: dt.datetime | None = None
    confirmed_at: dt.datetime | None = None
    derived_from: tuple[int, ...] = ()

    @property
    def as_of(self) -> dt.datetime:
        """When the source last said so."""
        return self.confirmed_at or self.collected_at


@dataclass(frozen=True, slots=True)
class Value:
    """The winning value of one attribute, and its source. `disputed`: another live source has a different value."""

    value: Any
    source: str
    source_kind: str
    as_of: dt.datetime
    confidence: float
    fact_id: int
    asserter: Asserter
    disputed: bool = False


def resolve(
    facts: Iterable[KnownFact], now: dt.datetime, half_life_days: int | None = None, *, keep_empty: bool = False
) -> Value | None:
    """Return the winning value among the permitted facts of *one* attribute, or None when nothing is known.

    An empty value is nothing known; `keep_empty` returns it all the same, for metadata, which is read as it was written.
    """
    live = [
        fact
        for fact in latest_per_source(facts)
        if fact.value is not None and (keep_empty or not is_empty(fact.value)) and not expired(fact, now)
    ]
    if not live:
        return None
    winner = max(live, key=lambda fact: rank(fact, now, half_life_days))
    return Value(
        value=winner.value,
        source=winner.source,
        source_kind=winner.source_kind,
        as_of=winner.as_of,
        confidence=winner.confidence,
        fact_id=winner.id,
        asserter=winner.asserter,
        disputed=any(not same_json(fact.value, winner.value) and tier(fact) >= Rank.LOOKED_UP for fact in live),
    )


def resolve_all(
    facts: Mapping[str, list[KnownFact]],
    now: dt.datetime,
    half_lives: Mapping[str, int | None],
    metadata: Collection[str] = (),
) -> dict[str, Value]:
    """Return the winning value of every attribute among its permitted facts; a proof counts only for what it proves.

    Of the keys in `metadata` an empty value is kept as it was written.
    """
    found = {key: resolve(rows, now, half_lives.get(key), keep_empty=key in metadata) for key, rows in facts.items()}
    values = {key: value for key, value in found.items() if value is not None}
    for proof, thing in PROOFS.items():
        if _is_of_another(values, facts, proof, thing, now):
            values[proof] = replace(values[proof], value=False)
    return values


def _is_of_another(
    values: Mapping[str, Value], facts: Mapping[str, list[KnownFact]], proof: str, thing: str, now: dt.datetime
) -> bool:
    """Return whether the proof belongs to another value than the one that won.

    Otherwise an address of another person, sent by an event, would count as verified by the provider that had verified
    the customer's own.
    """
    if thing not in values or proof not in values or values[proof].value is not True:
        return False
    if values[thing].asserter == Asserter.PUBLIC_KEY:
        return (
            True  # any visitor could write it after the proof was given, or before, for a caller that reads no source
        )
    live = [fact for fact in latest_per_source(facts[thing]) if fact.value and not expired(fact, now)]
    values_by_source = {voice(fact.source, fact.asserter): fact.value for fact in live}
    won = values[thing].value
    since = min(fact.collected_at for fact in live if _same(fact.value, won))
    return not any(
        _same(values_by_source[key], won) if key in values_by_source else each.collected_at >= since
        for each in latest_per_source(facts[proof])
        for key in [voice(each.source, each.asserter)]
        if each.value is True and not expired(each, now)
    )


def _same(one: Any, other: Any) -> bool:
    return str(one).strip().lower() == str(other).strip().lower()


def tier(fact: KnownFact) -> Rank:
    """Return how far a fact is believed: by how it was said, and at most as far as its asserter is."""
    return min(TIERS[fact.source_kind][0], RULES[fact.asserter][thing_of(fact.attribute)].rank)


def rank(fact: KnownFact, now: dt.datetime, half_life_days: int | None) -> tuple[int, float, dt.datetime, int]:
    _, reliability = TIERS[fact.source_kind]
    return (
        tier(fact),
        reliability * fact.confidence * freshness(fact, now, half_life_days),
        fact.as_of,
        fact.id,
    )


def freshness(fact: KnownFact, now: dt.datetime, half_life_days: int | None) -> float:
    """Return 2^(-age / half-life), in 0..1, from the last confirmation on; 1 when the attribute does not age."""
    if not half_life_days:
        return 1.0
    age = max((now - fact.as_of) / dt.timedelta(days=1), 0.0)
    return float(2 ** (-age / half_life_days))


class MayExpire(Protocol):
    @property
    def expires_at(self) -> dt.datetime | None: ...


def expired(fact: MayExpire, now: dt.datetime) -> bool:
    return fact.expires_at is not None and fact.expires_at <= now


def latest_per_source(facts: Iterable[KnownFact]) -> list[KnownFact]:
    """Return the newest fact of every source."""
    newest: dict[tuple[str, bool], KnownFact] = {}
    for fact in facts:
        key = voice(fact.source, fact.asserter)
        other = newest.get(key)
        if other is None or (fact.as_of, fact.id) > (other.as_of, other.id):
            newest[key] = fact
    return list(newest.values())
