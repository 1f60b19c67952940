"""Renew the certificate of `--https` while everything runs. Imports nothing heavy: the supervisor runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .supervise import Program
from .tls import Certificate

DAY, HOUR = 86_400.0, 3_600.0


@dataclass
class CertificateRenewal:
    """Looks at the certificate once a day, and an hour later when that failed.

    The web servers take a new one with new processes, while the old ones complete their requests (granian's SIGHUP). Behind
    a new authority the worker is started anew, because it has read which ones to trust; how to trust it is printed.
    """

    certificate: Certificate
    programs: Sequence[Program]
    announce: Callable[[str], None]
    every: float = DAY
    after_failure: float = HOUR
    due_at: float = field(init=False)
    looked_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._wait(self.every)

    def look_when_due(self) -> None:
        """Renew what ends soon. By the time of the day, which goes on while a laptop sleeps; one that was set back counts as due."""
        if not self.looked_at <= time.time() < self.due_at:
            self._wait(self.every if self._look() else self.after_failure)

    def _wait(self, seconds: float) -> None:
        self.looked_at = time.time()
        self.due_at = self.looked_at + seconds

    def _look(self) -> bool:
        before = self._shown()
        command = [sys.executable, "-m", "regulars.serving.certificate", str(self.certificate.folder.parent)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            why = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            self.announce(f"regulars: the certificate cannot be renewed: {why[0]} (certificate_not_renewed)")
            return False
        authority, chain = self._shown()
        if chain != before[1]:
            self.announce("regulars: the certificate for localhost was renewed")
            self._signal(signal.SIGHUP)
        if authority != before[0]:
            self.announce(
                "regulars: its authority is a new one, too, which browsers and programs have to trust\n"
                + self.certificate.trust_instructions()
            )
            self._signal(signal.SIGTERM)
        return True

    def _shown(self) -> list[bytes]:
        files = (self.certificate.authority, self.certificate.chain)
        return [path.read_bytes() if path.exists() else b"" for path in files]

    def _signal(self, number: signal.Signals) -> None:
        for program in self.programs:
            if program.renewed_by is number and program.process is not None and not program.has_ended():
                program.process.send_signal(number)
