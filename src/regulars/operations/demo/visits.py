"""What the invented customers did in their last sixty days: visits, each a few pages, sometimes an order."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .people import CATEGORIES, DAYS_OF_HISTORY, NEWSLETTER, Customer

# The same things as on the shelves of examples/shop: (slug, name, price in euros).
SHELVES = {
    "jackets": (
        ("harbour-jacket", "Harbour jacket", 189),
        ("quay-parka", "Quay parka", 249),
        ("pine-shell", "Pine shell", 159),
    ),
    "shirts": (
        ("tide-overshirt", "Tide overshirt", 89),
        ("linen-shirt", "Linen shirt", 69),
        ("deck-tee", "Deck tee", 29),
    ),
    "boots": (("ropewalk-boots", "Ropewalk boots", 179), ("shoreline-boots", "Shoreline boots", 149)),
    "knitwear": (("fisher-knit", "Fisher knit", 119), ("moss-cardigan", "Moss cardigan", 109)),
    "bags": (("ferry-bag", "Ferry bag", 99), ("mooring-tote", "Mooring tote", 49)),
}
HOURS = (0, 0, 0, 0, 0, 0, 1, 3, 5, 5, 5, 5, 7, 6, 5, 5, 5, 6, 7, 9, 10, 8, 4, 1)  # when people shop


@dataclass(frozen=True)
class Happening:
    """One event in Segment's words; `house` when Regulars itself saw it."""

    name: str
    at: dt.datetime
    properties: dict[str, Any]
    type: str = "track"
    house: bool = False


def happenings(customer: Customer, now: dt.datetime) -> Iterator[Happening]:
    """The customer's events, the same for the same customer; in order within a visit."""
    dice = random.Random(customer.id_there)  # noqa: S311 - invents visits, keeps no secret
    since = max(customer.joined, now - dt.timedelta(days=DAYS_OF_HISTORY))
    if customer.joined >= since and customer.way != NEWSLETTER:
        yield Happening("Signed Up", customer.joined, {"connection": customer.way}, house=True)
    for _ in range(_visits(customer.eagerness, since, now)):
        yield from _visit(customer, _moment(since, now, dice), dice, now)


def _visits(eagerness: int, since: dt.datetime, now: dt.datetime) -> int:
    """Whoever joined lately had less time to come back."""
    share = (now - since) / dt.timedelta(days=DAYS_OF_HISTORY)
    return min(eagerness, round(eagerness * share) + 1)


def _visit(customer: Customer, at: dt.datetime, dice: random.Random, now: dt.datetime) -> Iterator[Happening]:
    seen: list[dict[str, Any]] = []
    step = _Clock(at, dice, now)
    yield Happening("Page Viewed", step(), {"path": "/", "title": "Home"}, type="page")
    for _ in range(dice.choices((1, 2, 3, 4, 6), (30, 28, 20, 14, 8))[0]):
        seen.append(_product(customer, dice))
        yield Happening("Product Viewed", step(), seen[-1])
    if dice.random() < 0.55:
        yield Happening("Signed In", step(), {"connection": customer.way}, house=True)
    if dice.random() < 0.24:
        chosen = {**seen[-1], "quantity": 1}
        yield Happening("Product Added", step(), chosen)
        if dice.random() < 0.52:
            yield Happening("Order Completed", step(), _order([chosen], dice))


def _order(products: list[dict[str, Any]], dice: random.Random) -> dict[str, Any]:
    return {
        "order_id": f"HP-{dice.getrandbits(32):08X}",
        "total": sum(product["price"] for product in products),
        "currency": "EUR",
        "category": products[0]["category"],
        "products": products,
    }


def _product(customer: Customer, dice: random.Random) -> dict[str, Any]:
    """Her favourite shelf six times in ten, any other otherwise."""
    category = customer.taste if dice.random() < 0.6 else dice.choice(CATEGORIES)
    slug, name, price = dice.choice(SHELVES[category])
    return {"product_id": slug, "name": name, "category": category, "price": price, "currency": "EUR"}


def _moment(since: dt.datetime, now: dt.datetime, dice: random.Random) -> dt.datetime:
    day = since + (now - since) * dice.random()
    hour = dice.choices(range(24), HOURS)[0]
    at = day.replace(hour=hour, minute=dice.randrange(60), second=dice.randrange(60))
    latest = now - dt.timedelta(minutes=20)
    return min(max(at if at < latest else at - dt.timedelta(days=1), since), latest)


class _Clock:
    """Moments within a visit, seconds to minutes apart, never in the future."""

    def __init__(self, at: dt.datetime, dice: random.Random, now: dt.datetime) -> None:
        self.at, self.dice, self.now = at, dice, now

    def __call__(self) -> dt.datetime:
        self.at = min(self.at + dt.timedelta(seconds=self.dice.randrange(8, 140)), self.now)
        return self.at
