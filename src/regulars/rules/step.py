"""What one rule is given and what it leaves behind, whatever language it is written in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """One rule to run. `script`: its text, or the key of a Python rule. `patience`: seconds that a login waits for it.
    `own_realm`: no other rule shares its globals. `resumes`: an action that sent the browser away and now goes on.
    """

    slug: str
    language: str
    script: str
    configuration: dict[str, Any]
    deny_on_failure: bool = False
    patience: float = 3.0
    own_realm: bool = False
    resumes: bool = False


@dataclass(frozen=True)
class Step:
    """How one rule went.

    `how`: "done", "denied" or "failed"; then `fault` names what went wrong (threw, never_called_back, too_much_cpu,
    too_much_time, waited_too_long, too_much_memory, too_deep, answer_too_large, bad_answer, engine_failed,
    engine_unavailable, unknown_plugin) and `message` is what it said. `error` is what a rule gave its callback. `user`
    and `context` go to the next rule. `ignored` names what was asked for and is not done here. `paused`: no rule runs
    after it. `requests`: `{"method", "host", "status" | "code", "milliseconds"}` of what it asked outside.
    """

    how: str
    user: dict[str, Any]
    context: dict[str, Any]
    error: dict[str, Any] = field(default_factory=dict)
    fault: str = ""
    message: str = ""
    updates: list[Any] = field(default_factory=list)
    enrichments: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    paused: bool = False
    requests: list[dict[str, Any]] = field(default_factory=list)


def failed(
    fault: str, user: dict[str, Any], context: dict[str, Any], message: str = "", console: list[str] | None = None
) -> Step:
    """A rule at fault changes nothing: the next one sees what this one saw."""
    return Step("failed", user, context, fault=fault, message=message, console=console or [])
