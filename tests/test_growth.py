"""The verdict of a rehearsal: what has stopped to grow, what is kept for longer, and what grows without bound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks._growth import Line, Measured, report

MONTHS = range(30, 421, 30)


def line(rows, window: int | None = None, last: int = 420, unit: str = "rows") -> Line:
    return Line("events.Event", unit, tuple((day, rows(day)) for day in MONTHS if day <= last), window, last)


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (line(lambda day: 50 * day), "GROWS"),
        (line(lambda day: 50 * day, unit="bytes"), "bounded"),  # too few to look at
        (line(lambda day: 500_000 * day, unit="bytes"), "GROWS"),
        (line(lambda day: 50 * min(day, 90), window=90), "within its days"),
        (line(lambda day: 50 * day, window=90), "GROWS"),  # its retention does not run
        (line(lambda day: 50 * day, window=760), "too short to tell"),
        (line(lambda day: 50 * day, last=60), "too short to tell"),
        (line(lambda day: 2_000 + day), "bounded"),
        (line(lambda day: int(10_000 * (1 - 2.718 ** (-day / 100)))), "bounded"),
    ],
)
def test_verdict_of_a_table_or_folder(measured, verdict):
    assert measured.verdict == verdict
    assert measured.is_beyond is (verdict == "GROWS")


def test_report_names_what_grows_and_what_failed():
    measured = Measured(rows={"a.Grows": [(day, 50 * day) for day in MONTHS], "b.Empty": [(day, 0) for day in MONTHS]})

    text = report(measured, {"job deliver failed": 2}, days=420)

    assert "a.Grows | rows | 1,500 |" in text
    assert "b.Empty" not in text
    assert "FAULT 2 × job deliver failed" in text
    assert text.endswith("1 beyond their bound: a.Grows; 2 faults.")


def test_rehearsal_refuses_to_begin_on_the_clock_of_the_machine():
    root = Path(__file__).parents[1]
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks._rehearsal"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.returncode == 1
    assert "scripts/rehearse" in ran.stderr
