"""Keep a few processes running and stop them together. Imports nothing heavy: this process only waits."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

GRACE = 15.0  # seconds between SIGTERM and SIGKILL
POLL_SECONDS = 0.2
MAX_QUICK_EXITS = 5  # after so many exits in a row within `QUICK_EXIT` seconds a program is not restarted
QUICK_EXIT = 10.0
PR_SET_PDEATHSIG = 1


@dataclass
class Program:
    """One child process. `once`: started when everything is ready and not restarted when it ends.

    `renewed_by`: the signal after which it uses a new certificate (SIGHUP) or trusts a new authority (SIGTERM: it is restarted).
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    once: bool = False
    renewed_by: signal.Signals | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started_at: float = field(default=0.0, init=False)
    quick_exits: int = field(default=0, init=False)

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

    def run(
        self,
        is_ready: Callable[[], bool],
        when_ready: Callable[[], None],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> int:
        """Start all, call `when_ready` once `is_ready` returns true, and watch until asked to stop.

        `meanwhile` is called at each look at the programs, once everything is ready.
        """
        try:
            for program in self.programs:
                if not program.once:
                    program.start()
            announced = False
            while not self.stopping:
                if not all(self._keep_running(program) for program in self.programs):
                    return 1
                if not announced and is_ready():
                    when_ready()
                    announced = True
                    for program in self.programs:
                        if program.once:
                            program.start()
                if announced:
                    meanwhile()
                time.sleep(POLL_SECONDS)
            return 0
        finally:
            self._end_all()

    def _stop(self, number: int, frame: object) -> None:
        self.stopping = True

    def _keep_running(self, program: Program) -> bool:
        """Restart the program if it ended by itself. Return False when it ends too often."""
        if not program.has_ended() or program.once or self.stopping:
            return True
        quick = time.monotonic() - program.started_at < QUICK_EXIT
        program.quick_exits = program.quick_exits + 1 if quick else 1
        code = program.process.returncode if program.process else 0
        sys.stderr.write(f"regulars: {program.name} ended with code {code}\n")
        if program.quick_exits >= MAX_QUICK_EXITS:
            sys.stderr.write(f"regulars: {program.name} keeps ending; stopping everything\n")
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
    """Let the Linux kernel stop this process when its parent is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
