"""Write again after a deadlock: PostgreSQL ends one of two transactions that wait for each other's rows."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection

log = logging.getLogger("regulars.database")

P = ParamSpec("P")
T = TypeVar("T")
DEADLOCK = "40P01"  # SQLSTATE
TIMES = 3
PAUSE = (0.02, 0.1)  # seconds


def is_deadlock(fault: Exception) -> bool:
    """Return whether the database ended this transaction in favour of another one, so that it may be tried again."""
    return getattr(fault.__cause__, "sqlstate", "") == DEADLOCK


def repeat_after_deadlock(write: Callable[P, T]) -> Callable[P, T]:
    """Decorate what is one transaction, and reads anew what it writes: it is tried up to `TIMES` times.

    Inside another transaction, which has ended with it, nothing is tried: the outermost one begins again.
    """

    @wraps(write)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        for number in range(1, TIMES):
            try:
                return write(*args, **kwargs)
            except OperationalError as fault:
                if not is_deadlock(fault) or connection.in_atomic_block:
                    raise
                log.warning("%s waited for a transaction that waited for it, and begins again", write.__name__)
            # The other one, which has waited for a row of this one, is to have it first.
            time.sleep(number * random.uniform(*PAUSE))  # noqa: S311 - spreads tries, keeps no secret
        return write(*args, **kwargs)

    return repeated
