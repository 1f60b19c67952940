"""Input and result of one rule, for every language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from regulars.base.text import JsonObject

# On a request of a rule to this server: another service answered the rule before. Rules cannot take it off.
AFTER_CALL = "Regulars-After-Call"


@dataclass(frozen=True)
class RuleInvocation:
    """One rule to run. `script`: its text, or the key of a Python rule. `timeout`: seconds that a login waits for it.
    `own_realm`: no other rule shares its globals. `resumes`: an action that redirected the browser and now continues.
    `purpose`: the key of the one that it declares, empty for an undeclared rule; `recipients` as `Rule` stores them.
    """

    slug: str
    language: str
    script: str
    configuration: JsonObject
    deny_on_failure: bool = False
    timeout: float = 3.0
    own_realm: bool = False
    resumes: bool = False
    purpose: str = ""
    recipients: Sequence[JsonObject] = ()
    version: int = 1


# Asked before a rule calls a service: the rule and its request → the error that it is given instead (`http_calls.refusal`).
CallGate = Callable[[RuleInvocation, JsonObject], JsonObject | None]


class RequestRecord(TypedDict):
    """One HTTP request of a rule, with the status of its response or the code of its failure. `own`: to this server."""

    method: str
    host: str
    milliseconds: float
    status: NotRequired[int]
    code: NotRequired[str]
    own: NotRequired[bool]


@dataclass(frozen=True)
class LateStep:
    """What a rule did after it ended: after its callback, or after its time was up.

    `fault` is why it was stopped; `slug` is empty where the rule is not known. The rest is as in `RuleResult`.
    """

    slug: str
    updates: list[Any] = field(default_factory=list)
    enrichments: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    requests: list[RequestRecord] = field(default_factory=list)
    fault: str = ""


@dataclass(frozen=True)
class RuleResult:
    """The result of one rule.

    `how`: "done", "denied" or "failed"; then `fault` names what went wrong (threw, never_called_back, too_much_cpu,
    too_much_time, waited_too_long, too_much_memory, too_deep, answer_too_large, bad_answer, engine_failed,
    engine_unavailable, unknown_plugin) and `message` has the details. `error` is the error that a rule passed to its callback. `user`
    and `context` go to the next rule. `ignored` names requested features that are not supported. `paused`: no rule runs
    after it. `requests`: `{"method", "host", "status" | "code", "milliseconds"}` of its HTTP requests. `late`: what rules
    before it did while it ran.
    """

    how: str
    user: JsonObject
    context: JsonObject
    error: JsonObject = field(default_factory=dict)
    fault: str = ""
    message: str = ""
    updates: list[Any] = field(default_factory=list)
    enrichments: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    paused: bool = False
    requests: list[RequestRecord] = field(default_factory=list)
    late: list[LateStep] = field(default_factory=list)


def has_called_outside(requests: Iterable[RequestRecord]) -> bool:
    """Return whether another service answered a rule. Its requests to this server are none, and neither are failed ones."""
    return any("status" in each and not each.get("own") for each in requests)


def failed(
    fault: str, user: JsonObject, context: JsonObject, message: str = "", console: list[str] | None = None
) -> RuleResult:
    """Return a failed result, which changes nothing: the next rule sees the same objects."""
    return RuleResult("failed", user, context, fault=fault, message=message, console=console or [])
