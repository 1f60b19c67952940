"""Turns of the writers of one SQLite file: threads in the order they came, and processes one after the other.

SQLite's own wait is unfair: who finds the file locked sleeps for up to a tenth of a second and looks again, and a process
that writes without a pause (the worker over its inbox) takes the lock each time in between. Here threads of a process hand the
turn on in the order they asked. The first of each process meets those of the others at two bytes of a file beside the
database: it holds the first byte while it waits for the second, so that who has just given the second back comes
after it. The kernel gives both back when a process dies. SQLite's lock stays what keeps the database whole.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections import deque
from pathlib import Path
from threading import Lock

SUFFIX = "-turns"
NEXT, TURN = 0, 1  # bytes of the file: who is next, and who writes
STINT = 0.25  # seconds
LOOK_SECONDS = 0.0005  # between two looks at a byte that another process holds


class ThreadTurns:
    """A lock that is handed on in the order of asking: a thread that gives it back cannot take it before one that waits."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._is_taken = False
        self._waiting: deque[Lock] = deque()

    def take(self, seconds: float) -> bool:
        """Return whether it is this thread's turn, within so many seconds."""
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return True
            mine = Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=seconds):
            return True
        with self._guard:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
        return True  # handed on in this moment

    def hand_on(self) -> bool:
        """Give the turn to the thread that waits for longest. False: none waits, and this one still has it."""
        with self._guard:
            return self._hand_on()

    def give_back(self) -> None:
        with self._guard:
            self._is_taken = self._hand_on()

    def _hand_on(self) -> bool:
        if not self._waiting:
            return False
        self._waiting.popleft().release()
        return True

    def is_wanted(self) -> bool:
        return bool(self._waiting)

    def is_taken(self) -> bool:
        return self._is_taken


class FileTurns:
    """The same between processes: two bytes of a file, which is made where it is missing.

    One descriptor for the life of the process: closing any of a file gives back all its locks. At most one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        if not self._wait_for(NEXT, until):
            return False
        try:
            return self._wait_for(TURN, until)
        finally:
            self._give_back(NEXT)

    def give_back(self) -> None:
        self._give_back(TURN)

    def is_wanted(self) -> bool:
        """Return whether another process waits. For the one whose turn it is."""
        if self._lock(NEXT):
            self._give_back(NEXT)
            return False
        return True

    def _wait_for(self, byte: int, until: float) -> bool:
        while not self._lock(byte):
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def _lock(self, byte: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError:  # held by another process
            return False
        return True

    def _give_back(self, byte: int) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte)


class WriterTurns:
    """Both together, for one database. `path` is None for a database in memory, which has one process.

    A process keeps its turn for `STINT` seconds while threads of it wait. One that gives way (`give_way`) hands on to another
    process at once: people wait for what web processes write, and no one for what the worker does.
    """

    def __init__(self, path: Path | None) -> None:
        self._threads = ThreadTurns()
        self._processes = FileTurns(path) if path else None
        self._has_file = False  # of the thread whose turn it is
        self._until = 0.0

    def take(self, seconds: float) -> bool:
        """Return whether it is this thread's turn, within so many seconds."""
        until = time.monotonic() + seconds
        if not self._threads.take(seconds):
            return False
        if self._processes is None or self._has_file:
            return True
        if not self._processes.take(until - time.monotonic()):
            self._threads.give_back()
            return False
        self._has_file = True
        self._until = time.monotonic() + (0.0 if _gives_way else STINT)
        return True

    def give_back(self) -> None:
        if self._processes is None:
            self._threads.give_back()
        elif time.monotonic() > self._until or not self._threads.hand_on():
            self._has_file = False
            self._processes.give_back()
            self._threads.give_back()

    def is_wanted(self) -> bool:
        """Return whether another thread or process waits for the turn, which the caller has."""
        return self._threads.is_wanted() or (self._processes is not None and self._processes.is_wanted())

    def is_taken(self) -> bool:
        """Return whether a thread of this process has the turn."""
        return self._threads.is_taken()


def give_way() -> None:
    """Let other processes write first from now on: for the worker."""
    global _gives_way
    _gives_way = True


_gives_way = False
_all: dict[str, WriterTurns] = {}
_making = Lock()


def turns_of(name: str) -> WriterTurns:
    """Return the turns of a database by its name in the settings, the same for every thread of this process."""
    with _making:
        if name not in _all:
            _all[name] = _turns_at(name)
        return _all[name]


def _turns_at(name: str) -> WriterTurns:
    in_memory = name == ":memory:" or "mode=memory" in name
    try:
        return WriterTurns(None if in_memory else Path(name + SUFFIX))
    except OSError:  # a folder that cannot be written to: SQLite says what is wrong with it
        return WriterTurns(None)


def _forget() -> None:
    """Begin anew in a child process: no thread that has a turn or waits for one lives in it."""
    global _making
    _making = Lock()
    _all.clear()


os.register_at_fork(after_in_child=_forget)
