"""What begins by itself, now and then. The worker does it; whoever needs it registers, as for jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Task = TypeVar("Task", bound=Callable[[], object])

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
# name → (seconds between two times, what to do)
SCHEDULE: dict[str, tuple[float, Callable[[], object]]] = {}


def periodic_task(seconds: float, name: str) -> Callable[[Task], Task]:
    """Register under a name that is the same for ever: it says when it was last begun. It may begin twice: make it
    repeatable."""

    def register(task: Task) -> Task:
        SCHEDULE[name] = (seconds, task)
        return task

    return register
