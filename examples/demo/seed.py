"""Fill the shop Harbour & Pine once: customers, questions, segments, rules, and connections to the mock services.

Every step creates only what is missing, so the next start completes one that was killed half-way. A mark on the shop's
client records completion: what staff change or delete after that stays changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from regulars.base.addresses import Addresses
from regulars.clients.models import Client
from regulars.events.models import Source
from regulars.usecases.lake import fill_lake
from regulars.usecases.save_segment import evaluate_saved

from .content import make_questions, make_rules, make_segments
from .load import load_customers
from .mock_services import follow_addresses, point_at_mock_services

REPORT_EVERY = 5.0  # seconds
MARK = "seeded"
SourceReport = Callable[[str], None]


def seed(addresses: Addresses, report: SourceReport, people: int) -> None:
    """Create what is missing, once; at every start update the addresses. `report` receives progress messages."""
    shop = Client.objects.get(name="Shop", metadata__made_by="setup")
    if shop.metadata.get("demo") != MARK:
        _fill_shop(addresses, report, people)
        shop.metadata = {**shop.metadata, "demo": MARK}
        shop.save(update_fields=["metadata"])
    follow_addresses(addresses)


def _fill_shop(addresses: Addresses, report: SourceReport, people: int) -> None:
    report(f"Inventing {people:,} customers of Harbour & Pine, once …")
    point_at_mock_services(addresses)
    make_questions()
    make_rules()
    _load_customers(report, people)
    for segment in make_segments():
        evaluate_saved(segment)
    report("Filling the lake …")
    fill_lake({})


def _load_customers(report: SourceReport, people: int) -> None:
    source, _ = Source.objects.get_or_create(slug="shop", defaults={"name": "Shop"})
    reported = time.monotonic()
    for done in load_customers(people, source):
        if time.monotonic() - reported >= REPORT_EVERY:
            report(f"  {done:,} of {people:,}")
            reported = time.monotonic()
