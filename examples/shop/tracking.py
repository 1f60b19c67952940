"""What the shop tells Regulars about a visit, through Segment's own SDK."""

from __future__ import annotations

from typing import Any

from segment.analytics.client import Client

from .products import Product
from .settings import Settings
from .visit import LoginContext


class Tracking:
    """Events of one shop. The SDK sends from a thread of its own, so that no page waits for it."""

    def __init__(self, settings: Settings) -> None:
        self.client = Client(settings.write_key, host=settings.collector, timeout=5)

    def page(self, visit: LoginContext, name: str, path: str) -> None:
        self.client.page(**who(visit), name=name, properties={"path": path, "title": name})

    def viewed(self, visit: LoginContext, product: Product) -> None:
        self.client.track(**who(visit), event="Product Viewed", properties=described(product))

    def added(self, visit: LoginContext, product: Product) -> None:
        self.client.track(**who(visit), event="Product Added", properties={**described(product), "quantity": 1})

    def ordered(self, visit: LoginContext, order_id: str, products: list[Product]) -> None:
        properties = {
            "order_id": order_id,
            "total": sum(product.price for product in products),
            "currency": "EUR",
            "category": products[0].category,
            "products": [{**described(product), "quantity": 1} for product in products],
        }
        self.client.track(**who(visit), event="Order Completed", properties=properties)

    def signed_in(self, visit: LoginContext) -> None:
        """Says that the visitor of before and the customer of now are one person."""
        self.client.identify(**who(visit), traits={})

    def close(self) -> None:
        """Send what is still waiting."""
        self.client.join()


def who(visit: LoginContext) -> dict[str, str]:
    """Return the visitor's id, and the customer's after sign-in."""
    return {"anonymous_id": visit.visitor, **({"user_id": visit.customer} if visit.customer else {})}


def described(product: Product) -> dict[str, Any]:
    """A product in the words of Segment's e-commerce events."""
    return {
        "product_id": product.slug,
        "name": product.name,
        "category": product.category,
        "price": product.price,
        "currency": "EUR",
    }
