"""The cost of a change: ten thousand customers change one after the other, and the lake is looked at all the time.

Each change is written by itself, as by a worker that gathers nothing; of every hundredth the events are written anew too, as
after a withdrawal, and every thousandth is erased. The lake is tidied after as many changes as come in an hour, one in two
seconds. The last line compares the largest folder seen with the bound: three times its live bytes, and the megabyte
that a small lake has beside them.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

os.environ["DJANGO_SETTINGS_MODULE"] = "regulars.settings"
HOME = tempfile.TemporaryDirectory(dir=sys.prefix, prefix="bench-")
os.environ["REGULARS_HOME"] = HOME.name
for name in ("DATABASE_URL", "LAKE_URL"):
    os.environ.pop(name, None)

import django  # noqa: E402
from django.core.management import call_command  # noqa: E402

django.setup()

from benchmarks._run import is_quick, tell  # noqa: E402
from regulars.base.conditions import event_terms, terms_of  # noqa: E402
from regulars.base.lake.query import query  # noqa: E402
from regulars.base.lake.tables import (  # noqa: E402
    EventRow,
    ViewRow,
    append_events,
    next_batch,
    remove_profiles,
    replace_views,
)
from regulars.base.lake.upkeep import DEAD, gather, lake_size, purge, tidy  # noqa: E402
from regulars.consent.purposes import ensure_standard_purposes  # noqa: E402
from regulars.segments.count import count  # noqa: E402

PURPOSES = ("personalise", "measure")
CONDITION = (
    'gender:female AND age_band:"25-34" AND continent:Europe AND did("Product Viewed" where category:jackets in 90d)'
)
HOURLY = 1800
LOOKED = 10
WITHDRAWS, ERASED = 100, 1000  # every so manieth
BOUND = 3
CHOICES = {
    "gender": ("female", "male"),
    "age_band": ("18-24", "25-34", "35-44", "45-54"),
    "continent": ("Europe", "North America", "Asia"),
    "looking_for": ("jackets", "boots", "bags"),
    "city": tuple(f"City {number}" for number in range(500)),
    "postal_code": tuple(f"{number:05}" for number in range(3000)),
}
PORTION = 20_000


def main() -> None:
    people, changes = (5_000, 500) if is_quick() else (200_000, 10_000)
    call_command("migrate", verbosity=0)
    ensure_standard_purposes()
    rng = random.Random(1)
    fill(people, rng)
    erased: set[int] = set()
    began, live = time.perf_counter(), lake_size().live
    print(f"{people:,} customers, {live / 1e6:.1f} MB live, a count takes {seconds(counted):.3f} s")
    with Watch(f"{HOME.name}/lake") as watch:
        for number in range(1, changes + 1):
            change(rng.randint(1, people), number, rng, erased)
            if number % LOOKED == 0:
                watch.look()
            if number % HOURLY == 0:
                tidy()
            if number % (changes // 10) == 0:
                size = lake_size()
                print(
                    f"{number:,} changes in {time.perf_counter() - began:.0f} s, {watch.written / number:,.0f} bytes each;"
                    f" {size.live / 1e6:.1f} MB live, {size.dead / 1e6:.1f} dead, {len(watch.files)} files;"
                    f" a count takes {seconds(counted):.3f} s"
                )
    [(rows,)] = query("SELECT COUNT(*) FROM views")
    assert rows == len(PURPOSES) * (people - len(erased)), "the lake has lost or copied rows"
    allowed = (BOUND * live + DEAD) / 1e6
    words = f"{{ours:.1f}} MB allowed / {{theirs:.1f}} MB at most, {watch.written / changes:,.0f} bytes a change, {people:,} customers"
    tell("lake-changes", allowed, watch.peak / 1e6, words)


def change(profile: int, number: int, rng: random.Random, erased: set[int]) -> None:
    """One customer changes, withdraws or is erased."""
    if number % ERASED == 0:
        erased.add(profile)
        remove_profiles([profile])
        purge()
        return
    erased.discard(profile)
    if number % WITHDRAWS == 0:
        remove_profiles([profile])
        append_events([happened(profile, rng)], next_batch())
    replace_views(views_of(profile, rng))
    gather()


def counted() -> object:
    return count(CONDITION, "personalise")


def seconds(act: Callable[[], object]) -> float:
    """The shortest of three: a fill, the first of its kind and other programs make it longer."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return min(taken)


def fill(people: int, rng: random.Random) -> None:
    """Write customers with two views and an event each, as an import does."""
    for start in range(1, people + 1, PORTION):
        profiles = range(start, min(start + PORTION, people + 1))
        replace_views([view for profile in profiles for view in views_of(profile, rng)])
        append_events([happened(profile, rng) for profile in profiles], next_batch())
    gather()


def views_of(profile: int, rng: random.Random) -> list[ViewRow]:
    return [ViewRow(profile, purpose, terms_of(known(rng))) for purpose in PURPOSES]


def known(rng: random.Random) -> dict[str, object]:
    return {**{key: rng.choice(each) for key, each in CHOICES.items() if rng.random() < 0.7}, "consent": [*PURPOSES]}


def happened(profile: int, rng: random.Random) -> EventRow:
    said = {"category": rng.choice(("jackets", "boots", "bags", "shirts")), "price": rng.randrange(20, 300)}
    at = dt.datetime.now(dt.UTC)
    return EventRow(profile, f"m-{rng.random()}", "track", "Product Viewed", at, event_terms(said), said)


class Watch:
    """Looks at a folder after some changes, and beside them for the largest it ever is."""

    def __init__(self, folder: str) -> None:
        self.folder, self.written, self.peak = folder, 0, 0
        self.files = dict(listed(folder))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """Count the files that were written since the last look."""
        now = dict(listed(self.folder))
        self.written += sum(size for path, size in now.items() if path not in self.files)
        self.files = now

    def _watch(self) -> None:
        while not self._ended.wait(0.25):
            self.peak = max(self.peak, sum(size for _, size in listed(self.folder)))


def listed(folder: str) -> Iterator[tuple[str, int]]:
    """Every file with its size. Some go meanwhile."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from listed(entry.path)
            else:
                with suppress(FileNotFoundError):
                    yield entry.path, entry.stat().st_size


if __name__ == "__main__":
    main()
