"""Kill a process before any of its steps: what lasts, so a commit or a change of a file in the home folder."""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

WRITES = re.compile(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)', re.IGNORECASE)
VARIABLE = re.compile(r"\d{6,}[\w-]*|tmp\w+|\.regulars-\w+|killed\w*")
OF_THE_DATABASE = ("-journal", "-wal", "-shm", ".sqlite3", ".pyc")


def forked(work: Callable[[], object]) -> int:
    """Do it in a child. Returns the number of the signal that ended it, or its exit code as a negative number."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


class Steps:
    """Lists the steps of a block in this process, and kills it before the one with a number.

    A step is named by the tables that a commit wrote, or by the file and what is done to it. A process has one of these.
    """

    def __init__(self) -> None:
        self.last, self.seen, self.written, self.is_counting = 0, list[str](), list[str](), False
        commit = BaseDatabaseWrapper.commit

        def before_commit(wrapper: BaseDatabaseWrapper) -> None:
            if self.written:
                self.take(" ".join(sorted(set(self.written))))
            self.written.clear()
            commit(wrapper)

        BaseDatabaseWrapper.commit = before_commit  # type: ignore[method-assign]
        connection.ensure_connection()
        connection.execute_wrappers.append(self._executed)
        sys.addaudithook(self._audited)

    @contextmanager
    def until(self, last: int) -> Iterator[None]:
        """Kill this process before the step with the number `last` of the block; 0: never."""
        self.last, self.is_counting = last, True
        self.seen.clear()
        yield
        self.is_counting = False

    def take(self, step: str) -> None:
        if not self.is_counting:
            return
        self.seen.append(step)
        if len(self.seen) == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def _executed(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if found := WRITES.match(sql):
            if connection.in_atomic_block:
                self.written.append(found[1])
            else:
                self.take(found[1])
        return execute(sql, params, many, context)

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        match event, arguments:
            case "open", (path, _, int(flags)) if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._of_file("write", path)
            case "os.mkdir", (path, *_) if Path(path).is_dir():
                return  # it is there: nothing changes
            case (("os.rename" | "os.remove" | "os.mkdir" | "os.rmdir"), (path, *_)):
                self._of_file(event.removeprefix("os."), path)

    def _of_file(self, what: str, path: object) -> None:
        folder = settings.HOME.parent
        if isinstance(path, str | os.PathLike) and Path(path).is_relative_to(folder):
            name = VARIABLE.sub("*", str(Path(path).relative_to(folder)))
            if not name.endswith(OF_THE_DATABASE):
                self.take(f"{what} {name}")
