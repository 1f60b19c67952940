"""One browser's visit, kept in a signed cookie: who it is, what is in the basket, what its ID token said."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.requests import Request

from .products import PRODUCTS, Product


class LoginContext:
    def __init__(self, request: Request) -> None:
        self.cookie = request.session
        self.cookie.setdefault("visitor", str(uuid.uuid4()))

    @property
    def visitor(self) -> str:
        """An id for the browser from its first page on (Segment's anonymousId)."""
        return str(self.cookie["visitor"])

    @property
    def claims(self) -> dict[str, Any]:
        """Return the ID token's claims; empty before sign-in."""
        return dict(self.cookie.get("claims", {}))

    @property
    def customer(self) -> str:
        return str(self.claims.get("sub", ""))

    @property
    def basket(self) -> list[Product]:
        return [PRODUCTS[slug] for slug in self.cookie.get("basket", []) if slug in PRODUCTS]

    def sign_in(self, claims: dict[str, Any]) -> None:
        self.cookie["claims"] = claims

    def sign_out(self) -> None:
        """Start a new visit: the next person at this browser is another visitor."""
        self.cookie.clear()

    def put_into_basket(self, product: Product) -> None:
        self.cookie["basket"] = [*self.cookie.get("basket", []), product.slug]

    def empty_basket(self) -> None:
        self.cookie["basket"] = []
