"""Periodic tasks and their schedule. Packages register tasks; the worker runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Task = TypeVar("Task", bound=Callable[[], object])

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
WITHIN_A_MINUTE = 45.0  # for what has to be over a minute after its instant, with the queue behind it
# name → (seconds between two runs, task)
SCHEDULE: dict[str, tuple[float, Callable[[], object]]] = {}


def periodic_task(seconds: float, name: str) -> Callable[[Task], Task]:
    """Register a task under a permanent name, which identifies its last run. It may run twice: make it idempotent."""

    def register(task: Task) -> Task:
        SCHEDULE[name] = (seconds, task)
        return task

    return register
