"""What Harbour & Pine sells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    """`category` is also the name of its drawing; prices are euros."""

    slug: str
    name: str
    category: str
    price: int
    colour: str
    words: str


PRODUCTS = {
    product.slug: product
    for product in (
        Product(
            "harbour-jacket", "Harbour jacket", "jackets", 189, "#2f5d73", "Waxed cotton against rain from the side."
        ),
        Product("quay-parka", "Quay parka", "jackets", 249, "#5b6b3f", "Long, lined, with a hood that stays up."),
        Product("pine-shell", "Pine shell", "jackets", 159, "#2d6a4f", "Three layers, a handful of grams."),
        Product("tide-overshirt", "Tide overshirt", "shirts", 89, "#41719c", "Heavy twill for the hours in between."),
        Product("linen-shirt", "Linen shirt", "shirts", 69, "#b98b5e", "Washed until it stopped arguing."),
        Product("deck-tee", "Deck tee", "shirts", 29, "#8a4f4f", "Thick cotton, a collar that keeps its shape."),
        Product(
            "ropewalk-boots", "Ropewalk boots", "boots", 179, "#7a4b2a", "Welted, and resoled as often as you like."
        ),
        Product("shoreline-boots", "Shoreline boots", "boots", 149, "#3c3f46", "Rubber below, leather above."),
        Product("fisher-knit", "Fisher knit", "knitwear", 119, "#38516b", "Wool from one valley, knitted in the next."),
        Product("moss-cardigan", "Moss cardigan", "knitwear", 109, "#667a46", "Horn buttons, deep pockets."),
        Product("ferry-bag", "Ferry bag", "bags", 99, "#93683b", "A weekend and a book."),
        Product("mooring-tote", "Mooring tote", "bags", 49, "#4b6478", "Canvas, rope handles, no opinions."),
    )
}

CATEGORIES = tuple(dict.fromkeys(product.category for product in PRODUCTS.values()))
