"""Fills the shop Harbour & Pine once: its people, its questions, segments and rules, and its neighbours on this machine.

Every step looks before it makes, so a start that was killed half-way is completed by the next one. When all is made, a
mark on the shop's client says so, and whatever its staff change or delete after that stays as they left it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from regulars.clients.models import Client
from regulars.events.models import Source
from regulars.settings.places import Places
from regulars.usecases.lake import fill_lake
from regulars.usecases.refresh import after_saving

from .crowd import bring_in
from .house import make_questions, make_rules, make_segments
from .neighbours import follow, make_neighbours

SAY_EVERY = 5.0  # seconds
MARK = "seeded"
Say = Callable[[str], None]


def seed(places: Places, say: Say, people: int) -> None:
    """Make what is missing, once; then and at every later start let addresses follow. `say` hears how far it is."""
    shop = Client.objects.get(name="Shop", metadata__made_by="setup")
    if shop.metadata.get("demo") != MARK:
        _fill_shop(places, say, people)
        shop.metadata = {**shop.metadata, "demo": MARK}
        shop.save(update_fields=["metadata"])
    follow(places)


def _fill_shop(places: Places, say: Say, people: int) -> None:
    say(f"Inventing {people:,} customers of Harbour & Pine, once …")
    make_neighbours(places)
    make_questions()
    make_rules()
    _bring_in_everybody(say, people)
    for segment in make_segments():
        after_saving(segment)
    say("Filling the lake …")
    fill_lake({})


def _bring_in_everybody(say: Say, people: int) -> None:
    source, _ = Source.objects.get_or_create(slug="shop", defaults={"name": "Shop"})
    said = time.monotonic()
    for done in bring_in(people, source):
        if time.monotonic() - said >= SAY_EVERY:
            say(f"  {done:,} of {people:,}")
            said = time.monotonic()
