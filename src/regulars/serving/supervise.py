"""Keep a handful of processes running, and end them together. Imports nothing heavy: this process only waits."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

GRACE = 15.0  # seconds between asking to stop and insisting
LOOK_EVERY = 0.2
FAULTS_IN_A_ROW = 5  # a program that ends so often within `QUICKLY` is not started again
QUICKLY = 10.0
PR_SET_PDEATHSIG = 1


@dataclass
class Program:
    """One child: what to run, with which environment. `errand`: begun when everything is ready, and done when it ends."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    errand: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started_at: float = field(default=0.0, init=False)
    faults: int = field(default=0, init=False)

    def start(self) -> None:
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 - our own programs
            self.command, env=dict(self.environment), start_new_session=True, preexec_fn=end_with_parent
        )

    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None


class Supervisor:
    """`run` returns 0 after SIGTERM or SIGINT, 1 when a program cannot be kept running."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self.programs = programs
        self.stopping = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def run(self, is_ready: Callable[[], bool], when_ready: Callable[[], None]) -> int:
        """Start all, call `when_ready` once `is_ready` says so, and watch until told to stop."""
        try:
            for program in self.programs:
                if not program.errand:
                    program.start()
            said = False
            while not self.stopping:
                if not all(self._keep(program) for program in self.programs):
                    return 1
                if not said and is_ready():
                    when_ready()
                    said = True
                    for program in self.programs:
                        if program.errand:
                            program.start()
                time.sleep(LOOK_EVERY)
            return 0
        finally:
            self._end_all()

    def _stop(self, number: int, frame: object) -> None:
        self.stopping = True

    def _keep(self, program: Program) -> bool:
        """Start it again if it ended by itself. False when that is no use any more."""
        if not program.has_ended() or program.errand or self.stopping:
            return True
        quick = time.monotonic() - program.started_at < QUICKLY
        program.faults = program.faults + 1 if quick else 1
        code = program.process.returncode if program.process else 0
        sys.stderr.write(f"regulars: {program.name} ended with code {code}\n")
        if program.faults >= FAULTS_IN_A_ROW:
            sys.stderr.write(f"regulars: {program.name} does not stay up; stopping everything\n")
            return False
        program.start()
        return True

    def _end_all(self) -> None:
        running = [program.process for program in self.programs if program.process and not program.has_ended()]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in running:
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def end_with_parent() -> None:
    """A supervisor that is killed cannot end its children; on Linux the kernel does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
