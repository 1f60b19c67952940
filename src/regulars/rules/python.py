"""Python rules: trusted functions, installed under the entry point group `regulars.rules` or laid in the home (`folder`).

    def rule(user: dict, context: dict, api: Api) -> None: ...

The same objects as JavaScript rules get, changed in place; `raise Unauthorized("…")` ends the login.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from regulars.base.errors import DomainError
from regulars.base.plugins.catalog import Catalog

from .decide import read_answer
from .folder import load
from .step import Job, Step, failed


class Unauthorized(Exception):
    """Raised by a Python rule: this person may not sign in, and this is the sentence they read."""


@dataclass
class Api:
    """What a Python rule can do besides changing `user` and `context`. `configuration` is the house's and the rule's own."""

    configuration: dict[str, Any]
    updates: list[dict[str, Any]] = field(default_factory=list)
    enrichments: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def update_user_metadata(self, data: dict[str, Any]) -> None:
        self.updates.append({"bag": "user_metadata", "data": copy.deepcopy(data)})

    def update_app_metadata(self, data: dict[str, Any]) -> None:
        self.updates.append({"bag": "app_metadata", "data": copy.deepcopy(data)})

    def enrich(self, source_key: str) -> None:
        """Ask for a look-up after the login; nobody waits for it."""
        self.enrichments.append(source_key)

    def log(self, line: str) -> None:
        self.console.append(line)


PythonRule = Callable[[dict[str, Any], dict[str, Any], Api], None]
python_rules: Catalog[PythonRule] = Catalog("rules")


def python_rule(key: str) -> PythonRule:
    """The rule of that key: an installed one, else the file of that name in the home.

    Raises `Invalid("unknown_plugin" | "bad_rule_file")`.
    """
    return python_rules[key] if key in python_rules else load(key)


def run_python(job: Job, user: dict[str, Any], context: dict[str, Any]) -> Step:
    """Run one installed rule; its faults come back as a failed step. Trusted: no limits."""
    try:
        rule = python_rule(job.script)
    except DomainError as refused:
        return failed(refused.code, user, context, refused.message)
    api = Api(copy.deepcopy(job.configuration))
    after = copy.deepcopy((user, context))
    try:
        rule(*after, api)
    except Unauthorized as refusal:
        error = {"name": "UnauthorizedError", "message": str(refusal)}
        return Step("denied", user, context, error=error, updates=_plain(api.updates), console=api.console)
    except Exception as error:  # a rule's fault is recorded, never raised
        return failed("threw", user, context, f"{type(error).__name__}: {error}", api.console)
    return _done(api, *after) or failed("bad_answer", user, context, console=api.console)


def _plain(updates: list[dict[str, Any]]) -> list[Any]:
    """What a rule learned before it denied; nothing when that is not JSON."""
    try:
        return list(read_answer(json.dumps({"updates": updates}))["updates"])
    except (TypeError, ValueError):
        return []


def _done(api: Api, user: dict[str, Any], context: dict[str, Any]) -> Step | None:
    """Trusted code too can leave a date or a set where only JSON travels on."""
    try:
        left = read_answer(json.dumps({"user": user, "context": context, "updates": api.updates}))
    except (TypeError, ValueError):
        return None
    return Step("done", **left, enrichments=api.enrichments, console=api.console)
