"""A job through the outbox against a bare insert and delete, both in SQLite with every commit on disk.

Ours writes a job, leases it (who else may be at work is asked), does it and keeps what came of it: what at-least-once,
order within a key and queues of their own cost. Theirs is a row written and taken away by Python's own module, in a table
without an index. Both sides take turns in one process; another line tells how long a job takes while a thousand wait.

`--quick` takes two short rounds a side instead of five longer ones.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks._run import in_turns, is_quick, tell
from benchmarks._setup import set_up_home

WAITING = 1000


def main() -> None:
    rounds, seconds = (2, 1.0) if is_quick() else (5, 4.0)
    with tempfile.TemporaryDirectory(prefix="regulars-bench-") as home:
        set_up_home(Path(home))
        ours, theirs = one_job(), one_row(Path(home) / "bare.sqlite")
        rates = in_turns(lambda: rate(ours, seconds), lambda: rate(theirs, seconds), rounds)
        print(f"with {WAITING:,} others waiting for their time: {crowded(ours, seconds):,.0f} jobs/s")
    tell("outbox", *rates, "{ours:,.0f} jobs/s written, leased, done / {theirs:,.0f} rows/s inserted and deleted")


def one_job() -> Callable[[], None]:
    """Write a job and do it."""
    from regulars.base.jobs.run_jobs import run_due
    from regulars.base.jobs.tasks import enqueue, handles

    done: list[int] = []
    handles("benchmark")(lambda payload: done.append(payload["number"]))

    def write_and_do() -> None:
        enqueue("benchmark", {"number": len(done)}, key="customer", queue="somewhere")
        before = len(done)
        run_due(limit=1)
        assert len(done) == before + 1, "the job was not done"

    return write_and_do


def one_row(path: Path) -> Callable[[], None]:
    """Insert a row and delete it, each in a commit of its own."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE job (id INTEGER PRIMARY KEY, payload TEXT)"
    )

    def insert_and_delete() -> None:
        written = connection.execute("INSERT INTO job (payload) VALUES (?)", ('{"number": 1}',))
        connection.execute("DELETE FROM job WHERE id = ?", (written.lastrowid,))

    return insert_and_delete


def crowded(act: Callable[[], None], seconds: float) -> float:
    """The rate while many jobs wait for a later moment."""
    import datetime as dt

    from django.utils import timezone

    from regulars.base.jobs.tasks import enqueue

    later = timezone.now() + dt.timedelta(hours=1)
    for number in range(WAITING):
        enqueue("benchmark", {"number": number}, key=f"waiting-{number}", queue="elsewhere", due_at=later)
    return rate(act, seconds)


def rate(act: Callable[[], None], seconds: float) -> float:
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        act()
        count += 1
    return count / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
