"""Events of the invented customers in the last sixty days: visits of a few pages, sometimes with an order."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .customers import CATEGORIES, DAYS_OF_HISTORY, NEWSLETTER, Customer

# The products of examples/shop: (slug, name, price in euros).
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
class DemoEvent:
    """One event of the Segment specification; `first_party` when Regulars itself recorded it."""

    name: str
    at: dt.datetime
    properties: dict[str, Any]
    type: str = "track"
    first_party: bool = False


def demo_events(customer: Customer, now: dt.datetime) -> Iterator[DemoEvent]:
    """Yield the customer's events, the same for the same customer, in order within a visit."""
    rng = random.Random(customer.provider_user_id)  # noqa: S311 - invents visits, keeps no secret
    since = max(customer.joined, now - dt.timedelta(days=DAYS_OF_HISTORY))
    if customer.joined >= since and customer.connection != NEWSLETTER:
        yield DemoEvent("Signed Up", customer.joined, {"connection": customer.connection}, first_party=True)
    for _ in range(_visits(customer.visits, since, now)):
        yield from _visit(customer, _moment(since, now, rng), rng, now)


def _visits(visits: int, since: dt.datetime, now: dt.datetime) -> int:
    """Return the number of visits, fewer for recent customers, who had less time to come back."""
    share = (now - since) / dt.timedelta(days=DAYS_OF_HISTORY)
    return min(visits, round(visits * share) + 1)


def _visit(customer: Customer, at: dt.datetime, rng: random.Random, now: dt.datetime) -> Iterator[DemoEvent]:
    seen: list[dict[str, Any]] = []
    step = _Clock(at, rng, now)
    yield DemoEvent("Page Viewed", step(), {"path": "/", "title": "Home"}, type="page")
    for _ in range(rng.choices((1, 2, 3, 4, 6), (30, 28, 20, 14, 8))[0]):
        seen.append(_product(customer, rng))
        yield DemoEvent("Product Viewed", step(), seen[-1])
    if rng.random() < 0.55:
        yield DemoEvent("Signed In", step(), {"connection": customer.connection}, first_party=True)
    if rng.random() < 0.24:
        chosen = {**seen[-1], "quantity": 1}
        yield DemoEvent("Product Added", step(), chosen)
        if rng.random() < 0.52:
            yield DemoEvent("Order Completed", step(), _order([chosen], rng))


def _order(products: list[dict[str, Any]], rng: random.Random) -> dict[str, Any]:
    return {
        "order_id": f"HP-{rng.getrandbits(32):08X}",
        "total": sum(product["price"] for product in products),
        "currency": "EUR",
        "category": products[0]["category"],
        "products": products,
    }


def _product(customer: Customer, rng: random.Random) -> dict[str, Any]:
    """Draw a product: of the favourite category six times in ten, of any otherwise."""
    category = customer.taste if rng.random() < 0.6 else rng.choice(CATEGORIES)
    slug, name, price = rng.choice(SHELVES[category])
    return {"product_id": slug, "name": name, "category": category, "price": price, "currency": "EUR"}


def _moment(since: dt.datetime, now: dt.datetime, rng: random.Random) -> dt.datetime:
    day = since + (now - since) * rng.random()
    hour = rng.choices(range(24), HOURS)[0]
    at = day.replace(hour=hour, minute=rng.randrange(60), second=rng.randrange(60))
    latest = now - dt.timedelta(minutes=20)
    return min(max(at if at < latest else at - dt.timedelta(days=1), since), latest)


class _Clock:
    """Times within a visit, seconds to minutes apart, never in the future."""

    def __init__(self, at: dt.datetime, rng: random.Random, now: dt.datetime) -> None:
        self.at, self.rng, self.now = at, rng, now

    def __call__(self) -> dt.datetime:
        self.at = min(self.at + dt.timedelta(seconds=self.rng.randrange(8, 140)), self.now)
        return self.at
