"""Python rules written in the console, run by pydantic-monty in worker processes, when it is installed.

    def rule(user, context, api): ...

They get the same objects as an installed Python rule (`python.Api`, `raise Unauthorized("…")`), in Monty's subset of
Python: no files, no network, no imports of Regulars. The extra `monty` of the package installs it.
"""

from __future__ import annotations

import importlib
import os
import threading
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from regulars.base.errors import Invalid
from regulars.base.text import JsonObject

from .decide import read_answer
from .invocation import RuleInvocation, RuleResult, failed

LIMITS = {"max_feed_duration_secs": 0.5, "max_memory": 32 << 20, "max_recursion_depth": 200, "max_suspensions": 10}
MAX_PRINTED = 20_000
MAX_LINES = 100
_FIRST_LINES = """
import json as _json
# Monty has no inheritance yet, so a marked built-in error replaces our class.
def Unauthorized(sentence): return PermissionError("Unauthorized: " + str(sentence))
class _Api:
    def __init__(self, configuration):
        self.configuration, self.updates, self.enrichments, self.console = configuration, [], [], []
    def update_user_metadata(self, data): self.updates.append({"bag": "user_metadata", "data": data})
    def update_app_metadata(self, data): self.updates.append({"bag": "app_metadata", "data": data})
    def enrich(self, source_key): self.enrichments.append(source_key)
    def log(self, line): self.console.append(str(line))
"""
_LAST_LINES = """
_api = _Api(_given["configuration"])
_denied = None
try:
    rule(_given["user"], _given["context"], _api)
except PermissionError as _refusal:
    if not str(_refusal).startswith("Unauthorized: "): raise
    _denied = str(_refusal)[14:]
_json.dumps({"denied": _denied, "user": _given["user"], "context": _given["context"], "updates": _api.updates,
             "enrichments": _api.enrichments, "console": _api.console})
"""


HOW_TO_INSTALL = (
    "Python rules of the console need the package pydantic-monty. In the checkout of Regulars: "
    ".venv/bin/python -m pip install --editable '.[monty]'. Then restart Regulars."
)


def is_installed() -> bool:
    return find_spec("pydantic_monty") is not None


def check_monty(script: str) -> None:
    """Check that a script compiles and defines `rule`. Raises `Invalid("not_installed" | "does_not_compile")`."""
    if not is_installed():
        raise Invalid("not_installed", HOW_TO_INSTALL)
    monty = importlib.import_module("pydantic_monty")
    try:
        with _pool(os.getpid()).checkout(script_name="rule.py", limits=LIMITS) as session:
            session.feed_run(_FIRST_LINES)
            session.feed_run(script)
            session.feed_run("rule")
    except monty.MontyError as error:
        raise Invalid("does_not_compile", _sentence(error)) from None


def run_monty(job: RuleInvocation, user: JsonObject, context: JsonObject) -> RuleResult:
    """Run one rule; its faults are returned as a failed result."""
    if not is_installed():
        return failed("engine_unavailable", user, context, "The package pydantic-monty is not installed.")
    monty = importlib.import_module("pydantic_monty")
    printed = monty.CollectString(max_bytes=MAX_PRINTED)
    given = {"user": user, "context": context, "configuration": job.configuration}
    try:
        with _pool(os.getpid()).checkout(script_name="rule.py", limits=LIMITS) as session:
            session.feed_run(_FIRST_LINES)
            session.feed_run(job.script, print_callback=printed)
            text = session.feed_run(_LAST_LINES, inputs={"_given": given}, print_callback=printed)
        answer = read_answer(text if isinstance(text, str) else "")
    except (monty.MontyCrashedError, TimeoutError):
        return failed("too_much_time", user, context)
    except monty.MontyError as error:
        console = printed.output.splitlines()[:MAX_LINES]
        match error.exception():
            case TimeoutError():
                return failed("too_much_cpu", user, context, console=console)
            case MemoryError():
                return failed("too_much_memory", user, context, console=console)
            case RecursionError():
                return failed("too_deep", user, context, console=console)
        return failed("threw", user, context, _sentence(error), console)
    except ValueError:
        return failed("bad_answer", user, context)
    lines = [*printed.output.splitlines(), *filter(lambda line: isinstance(line, str), answer["console"])][:MAX_LINES]
    if answer["denied"] is not None:
        denial = {"name": "UnauthorizedError", "message": answer["denied"]}
        return RuleResult("denied", user, context, error=denial, updates=answer["updates"], console=lines)
    if not isinstance(answer["user"], dict) or not isinstance(answer["context"], dict):
        return failed("bad_answer", user, context, console=lines)
    enrichments = [key for key in answer["enrichments"] if isinstance(key, str)]
    return RuleResult(
        "done", answer["user"], answer["context"], updates=answer["updates"], enrichments=enrichments, console=lines
    )


def _sentence(error: Any) -> str:
    """Return the error with its line in the rule, as for JavaScript rules."""
    lines = [frame.line for frame in error.traceback()] if hasattr(error, "traceback") else []
    what = error.display("type-msg") if hasattr(error, "traceback") else str(error)
    return f"{what} (line {lines[0]})" if lines else what


_lock = threading.Lock()


def _pool(pid: int) -> Any:
    with _lock:
        return _started(pid)


@lru_cache(maxsize=1)
def _started(pid: int) -> Any:
    """Start the worker processes of this process: up to two, kept warm. They end with it."""
    monty = importlib.import_module("pydantic_monty")
    pool = monty.Monty(min_processes=1, max_processes=2, checkout_timeout=2, max_checkouts_per_worker=500)
    return pool.__enter__()
