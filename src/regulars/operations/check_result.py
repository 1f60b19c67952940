"""The result of one check of `regulars doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """WARN: right for some installations, for which `regulars doctor` still exits with 0 unless `--strict`."""

    OK = "ok"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class CheckResult:
    """`check` names what was looked at, `code` what is wrong with it ("" when nothing is)."""

    check: str
    state: State
    message: str
    code: str = ""

    @property
    def passed(self) -> bool:
        return self.state is not State.FAIL

    @property
    def line(self) -> str:
        return f"{self.state.value:4} {self.message}{f' ({self.code})' if self.code else ''}"

    @property
    def row(self) -> dict[str, str]:
        """Return the result for programs, in the words of `--json`."""
        return {"check": self.check, "state": self.state.name.lower(), "code": self.code, "message": self.message}


def ok(check: str, message: str) -> CheckResult:
    return CheckResult(check, State.OK, message)


def warn(check: str, code: str, message: str) -> CheckResult:
    return CheckResult(check, State.WARN, message, code)


def fail(check: str, code: str, message: str) -> CheckResult:
    return CheckResult(check, State.FAIL, message, code)
