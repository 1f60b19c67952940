"""The cost of evaluation: counting a segment of six conditions, against DuckDB reading the same columns of the same files.

The yardstick has no condition at all: it is the least that any engine could do on these files.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

os.environ["DJANGO_SETTINGS_MODULE"] = "regulars.settings"
HOME = tempfile.TemporaryDirectory(dir=sys.prefix, prefix="bench-")
os.environ["REGULARS_HOME"] = HOME.name
for name in ("DATABASE_URL", "LAKE_URL"):
    os.environ.pop(name, None)

import django  # noqa: E402
import duckdb  # noqa: E402
from django.core.management import call_command  # noqa: E402

django.setup()

from benchmarks._run import in_turns, is_quick, tell  # noqa: E402
from regulars.base.conditions import event_terms, terms_of  # noqa: E402
from regulars.base.lake.tables import EventRow, ViewRow, append_events, open_table, replace_views  # noqa: E402
from regulars.base.lake.upkeep import gather  # noqa: E402
from regulars.consent.purposes import ensure_standard_purposes  # noqa: E402
from regulars.segments.count import count  # noqa: E402

CONDITION = (
    'gender:female AND age_band:"25-34" AND continent:Europe AND consent:personalise'
    ' AND did("Product Viewed" where category:jackets in 90d) AND NOT did("Order Completed" in 30d)'
)
SCAN = (
    "SELECT count(*), sum(profile_id), max(purpose), sum(strlen(terms)) FROM read_parquet({views})",
    'SELECT count(*), sum(profile_id), max(name), max("at"), sum(strlen(terms)) FROM read_parquet({events})',
)
WORDS = "{ours:.2f} counts/s of six conditions / {theirs:.2f} bare scans/s, {people:,} people, {happened:,} events"
EVENTS_OF_ONE = 10
PORTION = 100_000
TURN = 1.5  # seconds that each side has at least


def main() -> None:
    people, rounds = (20_000, 5) if is_quick() else (100_000, 9)
    call_command("migrate", verbosity=0)
    ensure_standard_purposes()
    fill(people)
    scan = bare_scan()
    count_all = per_second(lambda: count(CONDITION, "personalise"))
    count_all(), scan()  # warm
    ours, theirs = in_turns(count_all, scan, rounds)
    words = WORDS.replace("{people:,}", f"{people:,}").replace("{happened:,}", f"{people * EVENTS_OF_ONE:,}")
    tell("segment-count", ours, theirs, words)


def per_second(act: Callable[[], object]) -> Callable[[], float]:
    def measure() -> float:
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < TURN:
            act()
            done += 1
        return done / (time.perf_counter() - began)

    return measure


def bare_scan() -> Callable[[], float]:
    engine = duckdb.connect(":memory:", config={"memory_limit": "512MB", "threads": 2})
    files = {name: str(open_table(name).file_uris()) for name in ("views", "events")}
    queries = [query.format(**files) for query in SCAN]
    return per_second(lambda: [engine.execute(query).fetchall() for query in queries])


def fill(people: int) -> None:
    rng = random.Random(1)
    replace_views(list(views(people, rng)))
    gather()
    rows = list(happened(people, rng))
    for number, start in enumerate(range(0, len(rows), PORTION), 1):
        append_events(rows[start : start + PORTION], number)


def views(people: int, rng: random.Random) -> Iterator[ViewRow]:
    """Half of what may be known is not, as in life."""
    choices = {
        "gender": ("female", "male"),
        "age_band": ("18-24", "25-34", "35-44", "45-54"),
        "continent": ("Europe", "North America", "Asia"),
        "looking_for": ("jackets", "boots", "bags"),
    }
    for person in range(1, people + 1):
        known = {key: rng.choice(values) for key, values in choices.items() if rng.random() < 0.5}
        for purpose in ("personalise", "measure"):
            yield ViewRow(person, purpose, terms_of({**known, "consent": ["personalise"]}))


def happened(people: int, rng: random.Random) -> Iterator[EventRow]:
    now = dt.datetime.now(dt.UTC)
    for number in range(people * EVENTS_OF_ONE):
        name = rng.choice(("Product Viewed", "Product Viewed", "Page Viewed", "Signed In", "Order Completed"))
        said = {"category": rng.choice(("jackets", "boots", "bags", "shirts")), "price": rng.randrange(20, 300)}
        at = now - dt.timedelta(days=rng.random() * 120)
        yield EventRow(rng.randint(1, people), f"m-{number}", "track", name, at, event_terms(said), said)


if __name__ == "__main__":
    main()
