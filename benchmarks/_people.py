"""Customers to ask: a seeded simulator of a shop, and a real survey that statsmodels ships."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regulars.questions.features import ConjunctiveTarget, Floats, Ints


@dataclass(frozen=True)
class People:
    """`rows` are full profiles; `targets` the segments over their columns; `social` the columns a login may tell."""

    rows: Ints
    names: tuple[str, ...]
    targets: tuple[ConjunctiveTarget, ...]
    social: frozenset[int]

    @property
    def cards(self) -> list[int]:
        return [int(card) for card in self.rows.max(0) + 1]

    def truth(self, rows: Ints) -> Floats:
        """Rows x segments: who is in."""
        columns = []
        for target in self.targets:
            inside = np.ones(len(rows), bool)
            for k, allowed in target.allowed.items():
                inside &= allowed[rows[:, k]] > 0
            columns.append(inside)
        return np.stack(columns, 1)


SHOP = {
    "sex": 3, "age": 6, "region": 5, "language": 5, "children": 3, "home": 3, "income": 4, "education": 4, "style": 6,
    "jacket_size": 5, "sport": 6, "music": 6, "channel": 4, "budget": 4, "pet": 3, "diet": 4,
}  # fmt: skip
# Each depends on one other in a way a mixture of types does not hold: (name, depends on, how evenly spread).
TIES = (("language", "region", 0.25), ("jacket_size", "sex", 0.8), ("home", "age", 0.7))
SHOP_SEGMENTS: tuple[dict[str, Sequence[int]], ...] = (
    {"sex": [0], "age": [1], "region": [0, 1]},  # women's jacket, 25-34 in Europe
    {"age": [0, 1], "sport": [0, 1, 2]},
    {"children": [1, 2], "home": [0]},
    {"budget": [2, 3], "style": [0, 1]},
    {"pet": [0, 1]},
    {"diet": [0], "region": [0]},
    {"channel": [0], "age": [0]},
    {"income": [2, 3], "education": [2, 3]},
    {"sex": [1], "jacket_size": [3, 4]},
    {"music": [0], "age": [0, 1, 2]},
)


def shop(count: int = 30_000, seed: int = 1) -> People:
    """Ten types of shoppers and sixteen attributes that hang together by type and by three ties."""
    rng = np.random.default_rng(seed)
    types, names = 10, tuple(SHOP)
    shares = rng.dirichlet(np.full(types, 3.0))
    tables = [rng.dirichlet(np.full(card, 0.6), types) for card in SHOP.values()]
    kind = rng.choice(types, count, p=shares)
    rows = np.zeros((count, len(names)), int)
    for k, card in enumerate(SHOP.values()):
        draws = rng.random(count)[:, None]
        rows[:, k] = (draws > tables[k][kind].cumsum(1)).sum(1).clip(0, card - 1)
    for name, other, evenness in TIES:
        table = rng.dirichlet(np.full(SHOP[name], evenness), SHOP[other])
        given = rows[:, names.index(other)]
        rows[:, names.index(name)] = [rng.choice(SHOP[name], p=table[answer]) for answer in given]
    return People(rows, names, _targets(SHOP_SEGMENTS, names, rows), _places(names, "sex", "age", "region", "language"))


FAIR_SEGMENTS: tuple[dict[str, Sequence[int]], ...] = (
    {"age": [0, 1, 2], "children": [0]},
    {"age": [3, 4, 5], "children": [2, 3]},
    {"educ": [4, 5], "occupation_husb": [3, 4, 5]},
    {"rate_marriage": [4], "yrs_married": [4, 5, 6]},
    {"religious": [3]},
    {"occupation": [3, 4, 5], "educ": [3, 4, 5]},
    {"yrs_married": [0, 1], "rate_marriage": [3, 4]},
    {"rate_marriage": [0, 1, 2], "children": [1, 2, 3]},
)


def fair() -> People:
    """A magazine's survey of 6,366 women, nine questions; statsmodels ships it as public domain."""
    from statsmodels.datasets import fair as survey

    data = survey.load_pandas().data
    data["children"] = np.digitize(data["children"], [0.5, 1.5, 2.5])
    data["affair"] = (data["affairs"] > 0).astype(int)
    data = data.drop(columns="affairs")
    names = tuple(data.columns)
    rows = np.stack([np.unique(data[name], return_inverse=True)[1] for name in names], 1)
    return People(rows, names, _targets(FAIR_SEGMENTS, names, rows), _places(names, "age"))


PEOPLE = {"shop": shop, "fair": fair}


def _targets(
    segments: Sequence[dict[str, Sequence[int]]], names: tuple[str, ...], rows: Ints
) -> tuple[ConjunctiveTarget, ...]:
    cards = rows.max(0) + 1
    return tuple(
        ConjunctiveTarget({k: np.isin(np.arange(cards[k]), allowed).astype(float) for k, allowed in placed.items()})
        for placed in ({names.index(name): allowed for name, allowed in each.items()} for each in segments)
    )


def _places(names: tuple[str, ...], *wanted: str) -> frozenset[int]:
    return frozenset(k for k, name in enumerate(names) if name in wanted)
