"""What every benchmark does alike: two sides in turns, the median of each, one last line with the ratio."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

TICKS = os.sysconf("SC_CLK_TCK")


def is_quick() -> bool:
    """Whether `--quick` was said; anything else is refused."""
    unknown = [each for each in sys.argv[1:] if each != "--quick"]
    if unknown:
        sys.exit(f"There is no option {unknown[0]}; only --quick.")
    return "--quick" in sys.argv


def in_turns(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> tuple[float, float]:
    """The median rate of each. Who goes first changes with every round, so that a slow minute hurts both alike."""
    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    sides = {"ours": ours, "theirs": theirs}
    for number in range(rounds):
        for name in list(sides) if number % 2 == 0 else reversed(sides):
            rates[name].append(sides[name]())
        print(f"round {number + 1} of {rounds}: ours {rates['ours'][-1]:,.1f}, theirs {rates['theirs'][-1]:,.1f}")
    return median(rates["ours"]), median(rates["theirs"])


def tell(name: str, ours: float, theirs: float, words: str) -> None:
    """The last line; a higher ratio is better. `words` has a place for each rate: `{ours:,.0f} events/s / …`."""
    print(f"{name} ratio={ours / theirs:.3f} {words.format(ours=ours, theirs=theirs)}")


def cpu_of(pid: int) -> float:
    """Seconds of processor time of a process and its living children."""
    children = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    family = [each for each in children if each == pid or _stat(each)[1:2] == [str(pid)]]
    return sum(sum(int(ticks) for ticks in _stat(each)[11:13]) for each in family) / TICKS


def _stat(pid: int) -> list[str]:
    """The fields after the name: state, parent, …"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
