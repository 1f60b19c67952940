"""Rows of every table and bytes of every folder, month by month, and which of them grow without bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# A rehearsal keeps as many customers as it began with. What is bounded ends to grow; what is not grows as in its first months.
FIRST, LAST = 90, 90  # days whose growth is compared
STILL_GROWS = 0.5  # of the growth in the first days
SMALL = {"rows": 200, "bytes": 2_000_000}  # growth of the last days that is not looked at


@dataclass(frozen=True)
class Line:
    """One table or folder. `window` is for how many days its rows are kept; None: as long as what they belong to."""

    name: str
    unit: str
    counts: tuple[tuple[int, int], ...]  # (day, rows or bytes)
    window: int | None = None
    days: int = 0

    @property
    def is_judged(self) -> bool:
        return self.days >= FIRST + LAST + (self.window or 0) - (self.window or 0) % 30 and len(self.counts) > 3

    @property
    def is_beyond(self) -> bool:
        if not self.is_judged:
            return False
        last = self.at(self.days) - self.at(self.days - LAST)
        return last > SMALL[self.unit] and last / LAST > STILL_GROWS * self.at(FIRST) / FIRST

    def at(self, day: int) -> float:
        """Return the count at a day, between those of two months by a straight line."""
        before = (0, 0)
        for point in self.counts:
            if point[0] >= day:
                share = (day - before[0]) / (point[0] - before[0])
                return before[1] + share * (point[1] - before[1])
            before = point
        return float(before[1])

    @property
    def verdict(self) -> str:
        if self.is_beyond:
            return "GROWS"
        if not self.is_judged:
            return "too short to tell"
        return "within its days" if self.window else "bounded"


@dataclass
class Measured:
    """What stood at the end of each month."""

    rows: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    bytes: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    windows: dict[str, int] = field(default_factory=dict)

    def add(self, day: int, home: Path) -> None:
        from django.apps import apps

        self.windows = retention_windows()
        for model in apps.get_models(include_auto_created=True):
            if not model._meta.proxy:
                self.rows.setdefault(model._meta.label, []).append((day, model._default_manager.count()))
        for name, size in sizes(home).items():
            self.bytes.setdefault(name, []).append((day, size))

    def lines(self, days: int) -> list[Line]:
        rows = [Line(name, "rows", tuple(each), self.windows.get(name), days) for name, each in self.rows.items()]
        return rows + [Line(name, "bytes", tuple(each), None, days) for name, each in self.bytes.items()]


def sizes(home: Path) -> dict[str, int]:
    """Return entry of the home folder, and the folder of backups beside it → bytes."""
    entries = [*home.iterdir(), home.parent / "backups"]
    found: Counter[str] = Counter()
    for entry in entries:
        files = [entry] if entry.is_file() else [path for path in entry.rglob("*") if path.is_file()]
        found[f"{entry.name}/" if entry.is_dir() else entry.name] += sum(path.stat().st_size for path in files)
    return dict(found)


def retention_windows() -> dict[str, int]:
    """Return table → the longest that any kind of its rows is kept, of kinds that are rows of one table."""
    from django.db.models import QuerySet

    from regulars.base import clock
    from regulars.usecases.retention import KINDS, days_of

    kept = days_of()
    found: dict[str, int] = {}
    for key, kind in KINDS.items():
        rows, days = kind.rows(clock.now()), kept[key]
        if isinstance(rows, QuerySet) and days is not None:
            label = rows.model._meta.label
            found[label] = max(days, found.get(label, 0))
    return found


def report(measured: Measured, faults: Mapping[str, int], *, days: int) -> str:
    """Return the table of every table and folder that is not empty, and what failed."""
    lines = sorted(measured.lines(days), key=lambda line: (line.unit, line.name))
    shown = [line for line in lines if any(count for _, count in line.counts)]
    ends = [day for day, _ in max((line.counts for line in shown), key=len, default=())]
    head = ["table or folder", "unit", *(f"day {day}" for day in ends), "kept for days", ""]
    text = [" | ".join(head)]
    for line in shown:
        counts = dict(line.counts)
        cells = [line.name, line.unit, *(f"{counts.get(day, 0):,}" for day in ends), str(line.window or "")]
        text.append(" | ".join([*cells, line.verdict]))
    text += ["", *(f"FAULT {number} × {fault}" for fault, number in sorted(faults.items()))]
    beyond = [line.name for line in lines if line.is_beyond]
    text.append(f"{len(beyond)} beyond their bound: {', '.join(beyond) or 'none'}; {sum(faults.values())} faults.")
    return "\n".join(text)
